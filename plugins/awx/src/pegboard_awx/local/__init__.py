"""Ansible on this machine: the folders an operator opens, and the commands that run in them."""
