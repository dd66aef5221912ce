"""Prompts: what a template lets a launch choose and what it needs, checked before anything is started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pegboard_awx.api import Api, Object
from pegboard_awx.failures import AwxError
from pegboard_awx.shapes import mapping, parsed, sequence

Question = Mapping[str, Any]

_ASKED_BY_NAME = (
    "diff_mode",
    "execution_environment",
    "forks",
    "instance_groups",
    "inventory",
    "job_slice_count",
    "job_type",
    "labels",
    "limit",
    "scm_branch",
    "skip_tags",
    "timeout",
    "verbosity",
)
ASKS: Mapping[str, str] = MappingProxyType(
    {
        "extra_vars": "ask_variables_on_launch",
        "credentials": "ask_credential_on_launch",
        "job_tags": "ask_tags_on_launch",
        **{name: f"ask_{name}_on_launch" for name in _ASKED_BY_NAME},
    }
)
"""The setting of a template that lets a launch choose a field."""
MANY = frozenset({"credentials", "instance_groups", "labels"})


@dataclass(frozen=True, slots=True)
class Terms:
    """What a template asks for and takes: the answer to `GET launch/`, and its survey."""

    id: int
    name: str
    info: Object
    survey: Sequence[Question] = ()

    @classmethod
    async def of(cls, api: Api, collection: str, id: int) -> "Terms":  # noqa: A002 # what AWX calls it
        """Ask a template what a launch needs."""
        info = await api.get(collection, id, "launch")
        data = mapping(info.get("job_template_data")) or mapping(info.get("workflow_job_template_data"))
        survey = mapping(await api.get(collection, id, "survey_spec") if info.get("survey_enabled") else None)
        return cls(id, str(data.get("name", id)), info, sequence(survey.get("spec")))

    def default(self, field: str) -> Any:
        """What the template has for a field; of other objects the number, or the numbers."""
        value = mapping(self.info.get("defaults")).get(field)
        if field in MANY:
            return [one["id"] for one in sequence(value)]
        return mapping(value).get("id") if isinstance(value, dict) else value

    def takes(self, field: str) -> bool:
        """Whether a launch may choose this field."""
        return bool(self.info.get(ASKS[field]))

    @property
    def answers(self) -> dict[str, Any]:
        """What required questions of the survey have as their default; AWX's own page sends it too, the API not."""
        questions = (question for question in self.survey if question["required"])
        return {str(one["variable"]): one["default"] for one in questions if one.get("default") not in (None, "")}


def checked(terms: Terms, given: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a launch; raises `AwxError` with everything that is wrong at once.

    `given` has the fields of a launch under AWX's names. AWX ignores what the template does not ask for, without a
    word, and a job whose `limit` was dropped runs on every host. What changes nothing is left out of the body.
    """
    wanted = {name: value for name, value in given.items() if not _is_same(terms, name, value)}
    ignored, missing = _ignored(terms, wanted), _missing(terms, given)
    if ignored or missing:
        raise _refusal(terms, ignored, missing)
    answers = {**terms.answers, **mapping(wanted.get("extra_vars"))}
    return {**wanted, "extra_vars": answers} if answers else wanted


def describe(question: Question) -> str:
    """A question of a survey in a few words: what it asks, its type, its choices or bounds, its default."""
    options = choices(question)
    least, most = question.get("min"), question.get("max")
    bounds = [f"{word} {bound}" for word, bound in (("min", least), ("max", most)) if bound not in (None, "")]
    default = question.get("default")
    parts = [
        str(question["type"]),
        *([f"one of {', '.join(options)}"] if options else bounds),
        *([f"default {default}"] if default not in (None, "") and question["type"] != "password" else []),
    ]
    asked = str(question.get("question_name") or "").strip()
    return f"{', '.join(parts)}: {asked}" if asked else ", ".join(parts)


def choices(question: Question) -> list[str]:
    """The answers a question allows; AWX keeps them as a list or as lines."""
    given = question.get("choices")
    return given.splitlines() if isinstance(given, str) else [str(choice) for choice in sequence(given)]


def problems(terms: Terms, error: AwxError) -> AwxError:
    """The refusal of a launch by AWX, with what the survey says about the questions it complains about."""
    complaints = sequence(error.fields.get("variables_needed_to_start"))
    asked = {str(one["variable"]): describe(one) for one in terms.survey}
    named = [f"{name} ({text})" for name, text in asked.items() if any(f"'{name}'" in str(said) for said in complaints)]
    if not named:
        return error
    hint = f"answer in extra_vars: {'; '.join(named)}"
    return AwxError(error.kind, error.message, hint=hint, status=error.status, fields=error.fields)


def _is_same(terms: Terms, name: str, value: Any) -> bool:
    """Whether a value is what the template has anyway, which AWX takes as not given."""
    if name not in ASKS or terms.takes(name):
        return False
    if name == "extra_vars":
        return not value
    default = terms.default(name)
    return set(value) <= set(default) if name in MANY else value == default


def _ignored(terms: Terms, wanted: Mapping[str, Any]) -> dict[str, str]:
    """What AWX would drop, and the setting that lets it through."""
    flags = {name: ASKS[name] for name in wanted if name in ASKS and name != "extra_vars" and not terms.takes(name)}
    if terms.takes("extra_vars"):
        return flags
    asked = {question["variable"] for question in terms.survey}
    same = parsed(terms.default("extra_vars"))
    variables = mapping(wanted.get("extra_vars"))
    dropped = [name for name, value in variables.items() if name not in asked and same.get(name, ...) != value]
    return flags | {f"extra_vars.{name}": ASKS["extra_vars"] for name in dropped}


def _missing(terms: Terms, given: Mapping[str, Any]) -> dict[str, str]:
    """What AWX would ask for: every required answer, the inventory, credentials and their passwords."""
    answers = {**terms.answers, **mapping(given.get("extra_vars"))}
    missing = {
        f"extra_vars.{question['variable']}": describe(question)
        for question in terms.survey
        if question["required"] and question["variable"] not in answers
    }
    if terms.info.get("inventory_needed_to_start") and given.get("inventory") is None:
        missing["inventory_id"] = "number of an inventory"
    if given.get("credentials") is not None:  # others may need other passwords; AWX says so
        return missing
    if terms.info.get("credential_needed_to_start"):
        missing["credentials"] = "numbers of credentials"
    passwords = mapping(given.get("credential_passwords"))
    needed = sequence(terms.info.get("passwords_needed_to_start"))
    return missing | {f"credential_passwords.{name}": "a password" for name in needed if name not in passwords}


def _refusal(terms: Terms, ignored: Mapping[str, str], missing: Mapping[str, str]) -> AwxError:
    message = f"{terms.name!r} ({terms.id}) was not launched"
    hints: list[str] = []
    if missing:
        message += f": it needs {'; '.join(f'{name} ({what})' for name, what in missing.items())}"
        hints.append("launch it again with all of these")
    if ignored:
        message += f"{', and' if missing else ':'} AWX would ignore {', '.join(ignored)} without a word"
        message += ", and run on every host" if "limit" in ignored else ""
        flags = ", ".join(dict.fromkeys(ignored.values()))
        hints.append(f"leave {'it' if len(ignored) == 1 else 'them'} out or turn on {flags} of the template")
    fields = {**{name: [what] for name, what in missing.items()}, **{name: ["ignored"] for name in ignored}}
    return AwxError("validation", message, hint="; ".join(hints), fields=fields)
