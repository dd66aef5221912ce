"""Surveys: the questions of a template, read and written with few words."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required

from typing_extensions import TypedDict

from pegboard_awx.prompts import choices
from pegboard_awx.shapes import ENCRYPTED, brief

QuestionType = Literal["text", "textarea", "password", "integer", "float", "multiplechoice", "multiselect"]


class Question(TypedDict, total=False):
    """One question; `variable` is what gets the answer. min and max bound a number, or the length of a text."""

    variable: Required[str]
    question: str
    description: str
    type: QuestionType
    required: bool
    default: Any
    choices: list[str]
    min: int
    max: int


def read(spec: Sequence[Mapping[str, Any]]) -> list[Question]:
    """The questions of a survey of AWX. A default that is a password is `$encrypted$`; written so, it stays."""
    return [_read(question) for question in spec]


def written(questions: Sequence[Question]) -> dict[str, Any]:
    """A survey as AWX wants it, which asks for more than it needs."""
    return {"name": "", "description": "", "spec": [_written(question) for question in questions]}


def _read(question: Mapping[str, Any]) -> Question:
    asked: Any = brief(
        variable=question["variable"],
        question=question["question_name"] if question["question_name"] != question["variable"] else None,
        description=question.get("question_description"),
        type=question["type"],
        required=question["required"],
        default=ENCRYPTED if question["type"] == "password" and question.get("default") else question.get("default"),
        choices=choices(question),
        min=None if question.get("min") == "" else question.get("min"),
        max=None if question.get("max") == "" else question.get("max"),
    )
    return asked


def _written(question: Question) -> dict[str, Any]:
    bounds = {name: value for name, value in question.items() if name in ("choices", "min", "max")}
    return {
        "variable": question["variable"],
        "question_name": question.get("question", question["variable"]),
        "question_description": question.get("description", ""),
        "type": question.get("type", "text"),
        "required": question.get("required", False),
        "default": question.get("default", ""),
        **bounds,
    }
