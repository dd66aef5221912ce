"""Values: how what is stored looks in JSON."""

from datetime import datetime
from typing import Any

from pegboard_awx.double.clock import stamp


def shown(value: Any) -> Any:
    """A stored value as JSON has it."""
    return stamp(value) if isinstance(value, datetime) else value
