"""Control: what a test in another process may do to a double, below `/_double/`."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pegboard_awx.double.faults import Fault
from pegboard_awx.double.visits import Reply

if TYPE_CHECKING:
    from pegboard_awx.double.app import Double

CONTROL = "/_double/"


def controlled(double: "Double", path: str, body: bytes) -> Reply:
    """Answer `requests`, `faults` (a fault as JSON), `advance` (`{"seconds": 180}`) or `speed` (`{"speed": 60}`)."""
    given: dict[str, Any] = json.loads(body) if body else {}
    action = path.removeprefix(CONTROL).strip("/")
    if action == "requests":
        return Reply(body=[asdict(one) for one in double.requests])
    if action == "faults":
        double.faults.add(Fault(**given))
    elif action == "advance":
        double.clock.advance(float(given["seconds"]))
    elif action == "speed":
        double.clock.run(float(given["speed"]))
    else:
        return Reply(404, {"detail": "Not found."})
    return Reply(body={})
