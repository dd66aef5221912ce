"""Pages: where people find in AWX's web what a tool has shown or made."""

from pegboard_awx.api import Api
from pegboard_awx.paths import Segment


async def page(api: Api, *segments: Segment) -> str:
    """The address of a page: `page(api, "templates", "job_template", 9)`. The platform writes dashes."""
    place = await api.place()
    path = "/".join([*map(str, segments), "details"])
    if place.platform == "awx":
        return f"{api.server.target.base}/#/{path}"
    return f"{api.server.target.base}/execution/{path.replace('_', '-')}"
