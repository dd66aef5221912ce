"""A test double of AWX: an ASGI app with state, near enough to the real one to build and try tools on."""

from pegboard_awx.double.app import Double
from pegboard_awx.double.faults import Fault
from pegboard_awx.double.seed import bare, sow
from pegboard_awx.double.serving import serving

__all__ = ["Double", "Fault", "bare", "serving", "sow"]
