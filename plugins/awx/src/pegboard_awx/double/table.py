"""The table of all routes, put together from the families."""

from pegboard_awx.double.families import (
    access,
    bulk,
    credentials,
    infrastructure,
    inventories,
    jobs,
    notifications,
    people,
    projects,
    schedules,
    templates,
    workflows,
)
from pegboard_awx.double.routes import Table

FAMILIES = (
    people,
    access,
    inventories,
    projects,
    templates,
    workflows,
    jobs,
    schedules,
    credentials,
    notifications,
    infrastructure,
    bulk,
)


def all_routes(*, platform: bool = False) -> Table:
    """The routes of AWX, or of the controller of a platform, which has no tokens of its own."""
    routes = {} if platform else dict(people.TOKEN_ROUTES)
    return routes | {key: handler for family in FAMILIES for key, handler in family.ROUTES.items()}
