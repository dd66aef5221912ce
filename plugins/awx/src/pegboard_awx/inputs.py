"""Inputs of credentials: what a type asks for, what is given, and that no secret of it is lost or told."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pegboard_awx.answers import sentence
from pegboard_awx.api import Object
from pegboard_awx.failures import AwxError
from pegboard_awx.shapes import ENCRYPTED, HIDDEN, brief, mapping, sequence

KEPT = frozenset({ENCRYPTED, HIDDEN})
"""What stands for a secret in answers; given back, it leaves the secret as it is."""
TELLTALE = 6
"""Characters of a secret by which it is recognized in what AWX says."""


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a credential type."""

    id: str
    label: str = ""
    type: str = "string"
    secret: bool = False
    required: bool = False
    choices: Sequence[str] = ()
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def shown(self) -> dict[str, Any]:
        """What somebody has to know to fill it in."""
        return brief(
            id=self.id,
            label=self.label,
            type=self.type,
            secret=self.secret,
            required=self.required,
            choices=list(self.choices),
            **self.more,
        )

    def fault(self, value: Any) -> str | None:
        """What is wrong with a value, without telling it."""
        if self.type == "boolean":
            return None if isinstance(value, bool) else "must be true or false"
        if not isinstance(value, str):
            return "must be a text"
        return f"must be one of {', '.join(self.choices)}" if self.choices and value not in self.choices else None


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one credential type."""

    id: int
    name: str
    inputs: tuple[Input, ...]

    @classmethod
    def of(cls, type_: Object) -> Self:
        """The form of a credential type as AWX shows it."""
        told = mapping(type_["inputs"])
        required = sequence(told.get("required"))
        return cls(type_["id"], type_["name"], tuple(_input(one, required) for one in sequence(told.get("fields"))))

    @property
    def secrets(self) -> frozenset[str]:
        """The names of secret inputs."""
        return frozenset(one.id for one in self.inputs if one.secret)

    def put(self, given: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
        """All inputs as they shall be: AWX forgets those that are not sent. `None` takes one away.

        Raises `AwxError` with everything that is wrong, and no value in it.
        """
        faults = [fault for name, value in given.items() if (fault := self._fault(name, value, before))]
        if faults:
            hint = f"awx_get_credential_type(credential_type_id={self.id}) shows what it takes"
            raise AwxError("validation", f"this is no {self.name} credential: {'; '.join(faults)}", hint=hint)
        changed = {name: value for name, value in given.items() if not _is_kept(value)}
        return {name: value for name, value in {**before, **changed}.items() if value is not None}

    def missing(self, inputs: Mapping[str, Any]) -> list[str]:
        """Warnings about what a job will need."""
        names = [one.id for one in self.inputs if one.required and inputs.get(one.id) in (None, "")]
        return [f"{', '.join(names)} must be set before a job can use it"] if names else []

    def _fault(self, name: str, value: Any, before: Mapping[str, Any]) -> str | None:
        known = next((one for one in self.inputs if one.id == name), None)
        if known is None:
            return f"it has no {name}, only {', '.join(one.id for one in self.inputs)}"
        if _is_kept(value):
            return None if name in before else f"{name} is {value}, and it is not set yet"
        fault = None if value is None else known.fault(value)
        return f"{name} {fault}" if fault else None


def different(form: Form, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of inputs that change: `inputs.password`."""
    names = [one.id for one in form.inputs]
    return [f"inputs.{name}" for name in names if before.get(name) != after.get(name)]


def without(error: AwxError, secrets: Sequence[Any]) -> AwxError:
    """The same error without the secrets in it: AWX repeats the beginning of a key that it cannot read."""
    forms = {text for secret in secrets for text in _forms(secret)}
    fields = {name: _cleaned(value, forms) for name, value in error.fields.items()}
    if fields == error.fields:
        return error
    message = f"AWX refuses the credential ({error.status}): {sentence(fields)}"
    return AwxError(error.kind, message, hint=error.hint, status=error.status, fields=fields)


def _input(told: Mapping[str, Any], required: Sequence[str]) -> Input:
    names = {"help_text": "help", "format": "format", "multiline": "multiline", "ask_at_runtime": "may_be_ASK"}
    more = {word: told[name] for name, word in names.items() if told.get(name)}
    return Input(
        told["id"],
        told.get("label", ""),
        told.get("type", "string"),
        bool(told.get("secret")),
        told["id"] in required,
        told.get("choices", ()),
        more | ({"default": told["default"]} if "default" in told and not told.get("secret") else {}),
    )


def _is_kept(value: Any) -> bool:
    return isinstance(value, str) and value in KEPT


def _forms(secret: Any) -> set[str]:
    """The beginning of a secret as it may stand in a message."""
    if not isinstance(secret, str) or not secret.strip():
        return set()
    text = secret.strip()
    return {form[:TELLTALE] for form in (text, repr(text)[1:-1], json.dumps(text)[1:-1])}


def _cleaned(value: Any, forms: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _cleaned(inner, forms) for name, inner in mapping(value).items()}
    if isinstance(value, list):
        return [_cleaned(inner, forms) for inner in sequence(value)]
    text = str(value)
    found = [text.index(form) for form in forms if form in text]
    return f"{text[: min(found)]}{HIDDEN}" if found else value
