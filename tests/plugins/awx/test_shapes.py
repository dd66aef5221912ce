"""Shapes: small answers without secrets."""

from typing import Any

import pytest

from pegboard_awx.shapes import brief, moment, parsed, variables


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ("a: 1\nb: [x]\n", {"a": 1, "b": ["x"]}),
        ("---", {}),
        ("", {}),
        (None, {}),
        ("[1, 2]", {}),
        ("a: [", {}),
    ],
)
def test_variables_are_read_as_json_or_yaml(text: str | None, expected: dict[str, Any]) -> None:
    assert parsed(text) == expected


def test_what_is_called_a_secret_is_hidden_at_any_depth() -> None:
    text = '{"db": {"db_password": "x", "port": 1}, "api_key": "y", "list": [{"token": "z"}], "code": "$encrypted$"}'

    assert variables(text) == {
        "db": {"db_password": "$hidden$", "port": 1},
        "api_key": "$hidden$",
        "list": [{"token": "$hidden$"}],
        "code": "$encrypted$",
    }


def test_what_says_nothing_is_left_out_but_a_zero_stays() -> None:
    assert brief(a=None, b="", c=[], d={}, e=False, f=0, g=True, h="x") == {"f": 0, "g": True, "h": "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T11:45:37.877638Z", "2026-11-21T11:45:37Z"),
        ("2026-11-21T11:45:37Z", "2026-11-21T11:45:37Z"),
        (None, None),
    ],
)
def test_moments_have_no_microseconds(text: str | None, expected: str | None) -> None:
    assert moment(text) == expected
