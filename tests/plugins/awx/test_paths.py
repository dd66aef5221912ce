"""Paths stay where they belong, whatever a caller writes into them."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegboard_awx import AwxError, Target
from pegboard_awx.paths import below, join

HERE = Target("https://awx.example.com")
PREFIX = "/api/v2/"


@given(st.text())
def test_a_segment_is_refused_or_stays_one_segment(text: str) -> None:
    """S-12: the path upstream is as templated."""
    try:
        path = join("hosts", text)
    except AwxError:
        return

    first, second, last = path.split("/")
    assert (first, unquote(second), last) == ("hosts", text, "")
    assert text not in ("", ".", "..")


@pytest.mark.parametrize("segment", ["..", ".", "", "a/b", "..%2f", "a?x=1", "a#b", "a\\b", "a\nb", "%2e%2e"])
def test_a_segment_that_could_lead_elsewhere_is_refused(segment: str) -> None:
    """S-12."""
    with pytest.raises(AwxError):
        join("hosts", segment)


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example.com/api/v2/hosts/",
        "//evil.example.com/api/v2/hosts/",
        "http://awx.example.com/api/v2/hosts/",
        "/api/v2/../../admin/",
        "/api/v2/%2e%2e/admin/",
        "/other/",
        "",
    ],
)
def test_a_link_out_of_the_api_is_not_followed(link: str) -> None:
    with pytest.raises(AwxError, match="not part of its API"):
        below(HERE, PREFIX, link)


def test_a_link_within_the_api_is_followed() -> None:
    assert below(HERE, PREFIX, "/api/v2/hosts/?page=2") == "hosts/?page=2"
    assert below(HERE, PREFIX, "https://awx.example.com/api/v2/hosts/") == "hosts/"
    assert below(Target("https://proxy.example.com/awx"), PREFIX, "/awx/api/v2/hosts/") == "hosts/"
