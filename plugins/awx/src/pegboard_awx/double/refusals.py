"""Refusals: the answers of AWX that are errors, raised from anywhere in the double."""

from typing import Any

NOT_FOUND_PAGE = """
<!doctype html>
<html lang="en">
<head>
  <title>Not Found</title>
</head>
<body>
  <h1>Not Found</h1><p>The requested resource was not found on this server.</p>
</body>
</html>
"""


class Refusal(Exception):  # noqa: N818 # an answer like others, not an error of the double
    """An answer with this status and body; a text is a web page."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def bad(body: Any) -> Refusal:
    """400 with this body."""
    return Refusal(400, body)


def bad_field(name: str, *reasons: str) -> Refusal:
    """400 about one field."""
    return Refusal(400, {name: list(reasons)})


def error(text: str) -> Refusal:
    """400 as the filters say it."""
    return Refusal(400, {"error": text})


def detail(status: int, text: str) -> Refusal:
    """The shape most refusals have."""
    return Refusal(status, {"detail": text})


def missing(model: str) -> Refusal:
    """404 for an object that is not there."""
    return detail(404, f"No {model} matches the given query.")


def no_page() -> Refusal:
    """404 for a path that is not there, a web page."""
    return Refusal(404, NOT_FOUND_PAGE)


def forbidden(text: str = "You do not have permission to perform this action.") -> Refusal:
    """403."""
    return detail(403, text)


def unauthenticated() -> Refusal:
    """401, the same for no credentials and for wrong ones."""
    return detail(401, "Authentication credentials were not provided. To establish a login session, visit /api/login/.")


def not_allowed(method: str) -> Refusal:
    """405: no such method here, or not in this state."""
    return detail(405, f'Method "{method}" not allowed.')
