"""Surveys: questions before a launch, and complaints about the answers."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.refusals import error

QUESTION_TYPES = ("text", "textarea", "password", "multiplechoice", "multiselect", "integer", "float")
Question = Mapping[str, Any]


def check_spec(body: Mapping[str, Any]) -> None:
    """Refuse a survey that is not one."""
    for name in ("description", "name", "spec"):
        if name not in body:
            raise error(f"Field '{name}' is missing from survey spec.")
    if not isinstance(body["spec"], list) or not body["spec"]:
        raise error("'spec' must be a list of items." if body["spec"] else "'spec' doesn't contain any items.")
    seen: set[str] = set()
    for index, question in enumerate(cast(list[Any], body["spec"])):
        _check_question(index, question, seen)


def _check_question(index: int, question: Any, seen: set[str]) -> None:
    if not isinstance(question, Mapping):
        raise error(f"Survey question {index} is not a json object.")
    question = cast(Question, question)
    for name in ("type", "question_name", "variable", "required"):
        if name not in question:
            raise error(f"'{name}' missing from survey question {index}.")
    if question["type"] not in QUESTION_TYPES:
        kinds = ", ".join(QUESTION_TYPES)
        raise error(f"'{question['type']}' in survey question {index} is not one of '{kinds}' allowed question types.")
    if question["variable"] in seen:
        raise error(f"'variable' '{question['variable']}' duplicated in survey question {index}.")
    seen.add(str(question["variable"]))


def questions(template: Row) -> Sequence[Question]:
    """The questions of a template whose survey is on."""
    return template.get("_survey", {}).get("spec", []) if template.get("survey_enabled") else []


def defaults(template: Row) -> dict[str, Any]:
    """The answers a survey gives itself."""
    return {one["variable"]: one["default"] for one in questions(template) if one.get("default") not in (None, "")}


def needed(template: Row) -> list[str]:
    """The variables that have to be answered; for the API also those that have a default."""
    return [one["variable"] for one in questions(template) if one["required"]]


def complaints(template: Row, answers: Mapping[str, Any]) -> list[str]:
    """What is wrong with the answers, all together. A default does not answer a required question for the API."""
    return [text for question in questions(template) for text in _complaints(question, answers)]


def hide_passwords(template: Row, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables with what was typed as a password hidden."""
    secret = {one["variable"] for one in questions(template) if one["type"] == "password"}
    return {name: "$encrypted$" if name in secret and value else value for name, value in variables.items()}


def _complaints(question: Question, answers: Mapping[str, Any]) -> list[str]:
    name, kind = question["variable"], question["type"]
    if name not in answers:
        return [f"'{name}' value missing"] if question["required"] else []
    value = answers[name]
    if kind in ("text", "textarea", "password"):
        return _length(name, kind, value, question)
    if kind == "integer":
        return _number(name, value, question, int)
    if kind == "float":
        return _number(name, value, question, float)
    return _choice(name, kind, value, question)


def _length(name: str, kind: str, value: Any, question: Question) -> list[str]:
    if not isinstance(value, str):
        return [f"Value {value} for '{name}' expected to be a string."]
    shown = "'$encrypted$'" if kind == "password" else value
    least, most = question.get("min"), question.get("max")
    if least and len(value) < int(least):
        return [f"'{name}' value {shown} is too small (length is {len(value)} must be at least {least})."]
    if most and len(value) > int(most):
        return [f"'{name}' value {shown} is too large (must be no more than {most})."]
    return []


def _number(name: str, value: Any, question: Question, kind: type[int] | type[float]) -> list[str]:
    least, most = question.get("min"), question.get("max")
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        word = "an integer" if kind is int else "a numeric type"
        return [f"Value {value} for '{name}' expected to be {word}."]
    if least not in (None, "") and value < kind(least):
        return [f"'{name}' value {value} is too small (must be at least {least})."]
    if most not in (None, "") and value > kind(most):
        return [f"'{name}' value {value} is too large (must be no more than {most})."]
    return []


def _choice(name: str, kind: str, value: Any, question: Question) -> list[str]:
    choices = question.get("choices", [])
    choices = choices.splitlines() if isinstance(choices, str) else list(choices)
    if kind == "multiselect":
        if not isinstance(value, list):
            return [f"'{name}' value is expected to be a list."]
        chosen = cast(list[Any], value)
        return [f"Value {one} for '{name}' expected to be one of {choices}." for one in chosen if one not in choices]
    return [] if value in choices else [f"Value {value} for '{name}' expected to be one of {choices}."]
