"""Redaction: what a tool was given, without its secrets and in a size one can keep."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel, SecretBytes, SecretStr

MASK = "[redacted]"

LONGEST = 2000
"""Characters of one string that are kept."""
ROOM = 16_000
"""Characters of all arguments of a call that are kept."""
DEEPEST = 20
"""Levels of lists and objects that are kept."""
MARGIN = 512
"""Characters at the end of a cut string that are read and not shown: a secret may be cut in two there."""
COST = 8
"""What a value takes of the room beside its characters, so that a million empty lists come to an end, too."""
LONGEST_KEY = 100

SIZED = (str, list, dict)

MIN_PART = 4
"""A shorter secret is masked as a whole value only: as a part it would be found in every other word."""
MIN_LINE = 16
"""A shorter line of a secret of several lines is no secret of its own."""

PASSWORDS = r"pass(?:wor[dt]|wd|phrase|code)|(?<![a-z])pass(?![a-z])|pwd|secret"
KEYS = r"(?:api|access|private|secret|ssh|signing|encryption|account)[_.-]?key"
NAMES = re.compile(
    rf"{PASSWORDS}|token|{KEYS}|credential|authori[sz]ation|cookie|bearer|connection[_. -]?string"
    r"|(?<![a-z])(?:auth|dsn|jwt|otp|pin)(?![a-z])"
)
NUMBERS = re.compile(rf"{PASSWORDS}|(?<![a-z])(?:otp|pin)(?![a-z])")
"""Names whose numbers are secrets, too; `max_tokens` and the ids of credentials are not."""

HINTS = (
    "pass", "pwd", "secr", "token", "key", "cred", "auth", "cookie", "bear", "conn", "dsn", "jwt", "otp", "pin",
    "ident", "://", "eyj", "gh", "peg_",
)  # fmt: skip
"""What is in every text, in lower case, that one of the patterns here finds something in. Most texts have none."""

VALUE = (
    r"(?:(?:bearer|basic|token)\s+)?"
    r"""(?:\\+"(?:(?!\\").)*|"(?:\\.|[^"\\])*"?|'(?:\\.|''|[^'\\])*'?|[^\s,;&)}\]"']+)"""
)
PATTERNS = (
    (re.compile(r"""(://[^\s/:@"']*:)[^\s/"'<>]*@"""), rf"\1{MASK}@"),
    (
        re.compile(
            rf"(?i)((?:{PASSWORDS}|token|cookie|{KEYS}|dsn|authori[sz]ation)[\w-]{{0,30}}\\*[\"']?\s{{0,3}}(?:=>|:?=|:)\s{{0,3}})"
            rf"(?!required\b|[\"'\\]*\.\.\.){VALUE}"  # our own help: dsn: required; write `dsn = ...`
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(r"(?i)((?:password|identified\s+by|identified\s+with\s+\w+\s+by)\s{1,3})'(?:''|[^'])*'?"),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)(--?(?:password|passwd|token|secret|api-key)\s{1,3})[^\s-]\S*"), rf"\1{MASK}"),
    (re.compile(r"(?i)(\bbearer\s+)[\w.~+/=-]{16,}"), rf"\1{MASK}"),
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        MASK,
    ),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}[\w.-]*"), MASK),
    (re.compile(r"\b(?:gh[opsur]_|github_pat_|peg_\w{1,40}_)[\w-]{16,}"), MASK),
)
"""Secrets in a text that nobody has told us of: logins in URLs, `name = value`, SQL, private keys and known tokens."""

canonical = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"), sort_keys=True).encode
"""JSON in one way of writing: sorted, without spaces, and in ASCII only, so that no character of it can end a line."""


@dataclass(frozen=True)
class Redactor:
    """Takes secrets out of what was given to a tool.

    By name: those the tool's schema calls secret, and those that sound like one. By value: `secrets`, the live ones of
    the settings, wherever they stand. By look: logins in URLs, private keys, tokens, `password = ...` in a text.
    """

    secrets: Sequence[str] = field(default=(), repr=False)

    @classmethod
    def of(cls, *settings: Any) -> "Redactor":
        """One that knows every secret in these settings: models, or mappings and lists of them."""
        found = {part for secret in secrets_in(settings) for part in _parts(secret)}
        return cls(sorted(found, key=len, reverse=True))  # a longer one may have a shorter one in it

    def joined(self, other: "Redactor") -> "Redactor":
        """One that knows the secrets of both."""
        return Redactor(sorted({*self.secrets, *other.secrets}, key=len, reverse=True))

    def text(self, text: str) -> str:
        """The text with every secret masked."""
        text = self.known(text)
        if _may_hold_secrets(text):
            for pattern, masked in PATTERNS:
                text = pattern.sub(masked, text)
        return text

    def known(self, text: str) -> str:
        """The text with the live secrets masked."""
        for secret in self.secrets:
            if secret in text and (len(secret) >= MIN_PART or secret == text):
                text = text.replace(secret, MASK)
        return text

    def arguments(self, given: Mapping[str, Any] | None, names: Set[str] = frozenset()) -> str:
        """The arguments of a call as JSON that may be written down; `names` are secret by the tool's schema.

        It has about `ROOM` characters at most, however large the arguments are. What is cut off is named with its
        length and the SHA-256 of the whole, so that the texts of two calls are equal when the calls were.
        """
        given = given or {}
        plain = self._plain(given)
        if plain is not None and not any(canonical(name) in plain for name in names):
            return plain
        return canonical(_Walk(self, names).mapping(given, 0))

    def _plain(self, given: Mapping[str, Any]) -> str | None:
        """The arguments as they are if they are short and nothing in there could be secret, as in most calls.

        A walk through them would come to the same and take three times as long.
        """
        for value in given.values():
            if isinstance(value, SIZED) and len(cast(str, value)) > LONGEST:
                return None
        try:
            text = canonical(given)
        except (TypeError, ValueError, RecursionError):  # no JSON as it stands
            return None
        if len(text) > LONGEST or _may_hold_secrets(text) or any(mark in text for mark in self._marks):
            return None
        return text

    @cached_property
    def _marks(self) -> Sequence[str]:
        """The live secrets as JSON writes them."""
        return [canonical(secret)[1:-1] for secret in self.secrets]


class _Walk:
    """One way through the arguments of a call, as far as there is room."""

    def __init__(self, redactor: Redactor, names: Set[str]) -> None:
        self._redactor = redactor
        self._names = names
        self._room = ROOM

    def mapping(self, given: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for name, value in given.items():
            if self._room <= 0:
                shown["…"] = _rest(f"+{len(given) - len(shown)} keys", given)
                break
            key = self._key(str(name))
            self._room -= len(key)
            shown[key] = MASK if self._is_secret(str(name), value) else self._value(value, depth)
        return shown

    def _value(self, value: Any, depth: int) -> Any:
        self._room -= COST
        if isinstance(value, str):
            return self._string(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return self._number(value)
        if depth >= DEEPEST or not isinstance(value, Mapping | list | tuple):
            return _rest(type(value).__name__, value)
        if isinstance(value, Mapping):
            return self.mapping(cast(Mapping[Any, Any], value), depth + 1)
        return self._list(cast(Sequence[Any], value), depth + 1)

    def _list(self, values: Sequence[Any], depth: int) -> list[Any]:
        shown: list[Any] = []
        for value in values:
            if self._room <= 0:
                return [*shown, _rest(f"+{len(values) - len(shown)} items", values)]
            shown.append(self._value(value, depth))
        return shown

    def _string(self, text: str) -> str:
        most = min(LONGEST, max(self._room, 0))
        if len(text) <= most:
            text = self._redactor.text(text)
            self._room -= len(text)
            return text
        text = self._redactor.known(text)
        shown = self._redactor.text(text[: most + MARGIN])[:-MARGIN][:most]
        self._room -= len(shown)
        return shown + _rest(f"+{len(text) - len(shown)} chars", text)

    def _number(self, number: float) -> Any:
        if isinstance(number, int):
            return number if number.bit_length() <= 256 else f"(a number of {number.bit_length()} bits)"
        return number if math.isfinite(number) else str(number)

    def _key(self, key: str) -> str:
        key = self._redactor.known(key)
        return key if len(key) <= LONGEST_KEY else key[:LONGEST_KEY] + _rest(f"+{len(key) - LONGEST_KEY} chars", key)

    def _is_secret(self, name: str, value: Any) -> bool:
        if name in self._names:
            return True
        if value is None or isinstance(value, bool):
            return False
        names = NUMBERS if isinstance(value, int | float) else NAMES
        return names.search(name[:LONGEST_KEY].lower()) is not None


def _may_hold_secrets(text: str) -> bool:
    lower = text.lower()
    for hint in HINTS:  # noqa: SIM110 # `any` takes three times as long, and this runs in every call
        if hint in lower:
            return True
    return False


def fingerprint(text: str) -> str:
    """The SHA-256 of a text in hexadecimal, also of one that is no Unicode (half a character)."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _rest(what: str, whole: Any) -> str:
    """What stands in the place of something cut off: `…(+3800 chars, sha256 1f2e...)`."""
    try:
        return f"…({what}, sha256 {fingerprint(whole if isinstance(whole, str) else canonical(whole))})"
    except (TypeError, ValueError, RecursionError):  # no JSON, or too deep for it
        return f"…({what})"


def secret_names(schema: Mapping[str, Any]) -> frozenset[str]:
    """The properties a JSON schema calls secret, on any level: by `writeOnly`, `x-secret` or the format `password`."""
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    return frozenset(name for name, inner in _properties(schema) if _says_secret(inner, definitions, 0))


def _properties(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every property of every object in a schema, those of its definitions included."""
    if isinstance(schema, Mapping):
        found = cast(Mapping[str, Any], schema)
        properties = found.get("properties")
        if isinstance(properties, Mapping):
            yield from cast(Mapping[str, Any], properties).items()
        for inner in found.values():
            yield from _properties(inner)
    elif isinstance(schema, list):
        for inner in cast(list[Any], schema):
            yield from _properties(inner)


def _says_secret(schema: Any, definitions: Mapping[str, Any], depth: int) -> bool:
    """Whether a value of this schema is secret, or may be in one of its forms, or has items that are."""
    if not isinstance(schema, Mapping) or depth > DEEPEST:
        return False
    found = cast(Mapping[str, Any], schema)
    if found.get("writeOnly") is True or found.get("x-secret") is True or found.get("format") == "password":
        return True
    name = str(found.get("$ref", "")).removeprefix("#/$defs/")
    choices = [choice for key in ("anyOf", "oneOf", "allOf", "prefixItems") for choice in found.get(key, ())]
    inner = [definitions.get(name), found.get("items"), found.get("additionalProperties"), *choices]
    return any(_says_secret(one, definitions, depth + 1) for one in inner)


def secrets_in(value: Any) -> Iterator[str]:
    """Every secret in a value: models, mappings and lists are looked into."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, SecretBytes):
        yield value.get_secret_value().decode(errors="replace")
    else:
        for inner in _inside(value):
            yield from secrets_in(inner)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, BaseModel):
        return [*value.__dict__.values(), *(value.model_extra or {}).values()]
    if isinstance(value, Mapping):
        return cast(Mapping[Any, Any], value).values()
    if is_dataclass(value):
        return [getattr(value, found.name) for found in fields(value)]
    return cast(Iterable[Any], value) if isinstance(value, list | tuple | set | frozenset) else ()


def _parts(secret: str) -> Iterator[str]:
    """What of a secret must not be seen: itself, the password of a URL, its longer lines, and each as in a URL."""
    whole = [secret, _password_of(secret), *(line for line in secret.splitlines() if len(line) >= MIN_LINE)]
    for part in filter(None, whole):
        yield from (part, quote(part, safe=""), unquote(part))


def _password_of(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:  # a bracket in the host, say
        return ""
