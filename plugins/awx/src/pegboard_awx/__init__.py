"""AWX and Ansible Automation Platform for the hub."""

from pegboard_awx.failures import AwxError
from pegboard_awx.plugin import hub_plugin
from pegboard_awx.pool import AWX, Server
from pegboard_awx.settings import Settings
from pegboard_awx.target import Target

__all__ = ["AWX", "AwxError", "Server", "Settings", "Target", "hub_plugin"]
