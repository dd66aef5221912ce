"""Marks for a test of a group, or for a set of its arguments."""

import pytest

shared = pytest.mark.awx_only("users, teams and organizations are made, changed and deleted in the platform")
"""What a platform answers instead has tests of its own."""
