"""Credentials: what a caller sends with a request to log in with at a backend, in place of the hub's own login."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import SecretStr, ValidationError

from pegboard.errors import ToolError
from pegboard.plugin import Plugin, PluginSettings
from pegboard.security.redaction import MASK, canonical

S = TypeVar("S", bound=PluginSettings)

SHORTEST, LONGEST = 8, 4096
"""Characters of a credential; a shorter one would be found, and masked, in every other word."""
VALUE = re.compile(r"[\x21-\x7e]+")

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Sent:
    """What one request brought along for one plugin: values for keys of its settings."""

    secrets: Mapping[str, SecretStr] = field(default_factory=dict[str, SecretStr])
    login: frozenset[str] = frozenset()
    """The keys that give way to them."""
    problem: str = ""
    """Why they cannot be used; the plugin's tools do not run then, least of all with the hub's own login."""
    marks: Sequence[str] = field(default=(), repr=False)
    """Every credential of the request, whichever plugin it is for: with others the caller is somebody else."""

    def mask(self, text: str) -> str:
        """The text without these credentials, as they are and as JSON writes them; no settings know them."""
        for secret in self.secrets.values():
            value = secret.get_secret_value()
            text = text.replace(value, MASK).replace(canonical(value)[1:-1], MASK)
        return text

    def over(self, settings: S) -> S:
        """The settings with these credentials as the whole login; raises `ToolError` where they cannot be used."""
        if self.problem:
            raise ToolError(self.problem)
        if not self.secrets:
            return settings
        kept = {key: getattr(settings, key) for key in settings.model_fields_set if key not in self.login}
        try:
            return type(settings).model_validate({**kept, **self.secrets})
        except ValidationError:
            keys = " and ".join(sorted(self.secrets))
            raise ToolError(f"what was sent as {keys} is none that the plugin takes; nothing was done") from None


NOTHING_SENT = Sent()


class CredentialHeaders:
    """The headers that carry credentials, as the plugins of a hub declare them; all others are none of anybody's."""

    def __init__(self, plugins: Iterable[Plugin] = ()) -> None:
        self._plugins = {plugin.name: plugin for plugin in plugins if plugin.credentials}
        names = [header for plugin in self._plugins.values() for header in plugin.credentials]
        self._names = {header.lower().encode(): header for header in names}

    def sent(self, plugin: str, headers: Headers, *, is_known: bool) -> Sent:
        """What a request with these headers brings for a plugin; it counts only if it is known who sends it."""
        if not self._names:
            return NOTHING_SENT
        found = [(self._names[name], value.decode("latin-1")) for name, value in headers if name in self._names]
        if not found:
            return NOTHING_SENT
        marks = [f"{header}: {value}" for header, value in sorted(found)]
        taking = self._plugins.get(plugin)
        own = [(header, value) for header, value in found if taking is not None and header in taking.credentials]
        if taking is None or not own:
            return Sent(marks=marks)
        problem = _problem(own, is_known)
        secrets = {} if problem else {taking.credentials[header]: SecretStr(value) for header, value in own}
        return Sent(secrets, taking.login_keys, problem, marks)


def _problem(found: Sequence[tuple[str, Any]], is_known: bool) -> str:
    """What is wrong with the credentials of a request, without their values; empty if nothing is."""
    names = [header for header, _ in found]
    for header, value in found:
        if not is_known:
            return f"{header} counts only for callers who show a key, and this hub asks for none; nothing was done"
        if names.count(header) > 1:
            return f"{header} was sent more than once; send one, nothing was done"
        if not SHORTEST <= len(value) <= LONGEST or not VALUE.fullmatch(value):
            return f"{header} must hold {SHORTEST} to {LONGEST} visible ASCII characters; nothing was done"
    return ""
