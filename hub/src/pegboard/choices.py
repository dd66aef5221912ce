"""Choices: where the calls of a session go that name no environment."""

from collections.abc import Hashable

MOST_SESSIONS = 10_000
"""How many sessions are remembered; more than can be open, since one over `/mcp` may end without a word."""


class Choices:
    """Which environment each session has chosen, by plugin; a choice goes with its session.

    Of too many those used last stay, so that no session that still calls falls back to a default unawares.
    """

    def __init__(self) -> None:
        self._chosen: dict[Hashable, dict[str, str]] = {}

    def of(self, session: Hashable, plugin: str) -> str | None:
        """What the session has chosen for a plugin, if it has."""
        chosen = self._chosen.pop(session, None)
        if chosen is None:
            return None
        self._chosen[session] = chosen  # now the last in order
        return chosen.get(plugin)

    def choose(self, session: Hashable, plugin: str, environment: str) -> None:
        """Remember a session's choice, in place of the one before."""
        self._chosen[session] = {**self._chosen.pop(session, {}), plugin: environment}
        if len(self._chosen) > MOST_SESSIONS:
            del self._chosen[next(iter(self._chosen))]

    def leave(self, session: Hashable) -> None:
        """A session has ended."""
        self._chosen.pop(session, None)
