"""Tokenizers: estimated for free, or exact with a package."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.many import many

from pegboard import tokenizers
from pegboard.budget import count_tokens
from pegboard.errors import ConfigError
from pegboard.testing import hub_of
from pegboard.tokenizers import counter


@pytest.mark.parametrize("name", [None, "estimate"])
def test_tokens_are_estimated_unless_somebody_asks(name: str | None) -> None:
    assert counter(name) is count_tokens


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("Restart the nightly backup job.", 6), ("日本語", 2), ("<|endoftext|>", 7)]
)
def test_o200k_counts_exactly(text: str, tokens: int) -> None:
    assert counter("o200k")(text) == tokens


@given(st.text(alphabet=st.characters(), max_size=2000))
def test_o200k_counts_any_text(text: str) -> None:
    assert 0 <= counter("o200k")(text) <= len(text.encode(errors="replace"))


def test_o200k_counts_a_text_of_any_size() -> None:
    assert counter("o200k")("word " * 300_000) == pytest.approx(300_000, rel=0.01)


def test_the_package_is_loaded_once() -> None:
    assert counter("o200k") is counter("o200k")


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    tokenizers._o200k.cache_clear()  # pyright: ignore[reportPrivateUsage] # as in a new process

    with pytest.raises(
        ConfigError, match=r"tokenizer = \"o200k\" needs a package; pip install 'pegboard\[tokenizer\]'"
    ):
        counter("o200k")


async def test_an_endpoint_may_count_otherwise_than_the_hub() -> None:
    settings = {
        "budget": {"tokenizer": "o200k"},
        "endpoints": {
            "exact": {"tools": ["*"]},
            "estimated": {"tools": ["*"], "budget": {"tokenizer": "estimate"}},
        },
    }

    async with hub_of(many(9), settings=settings) as hub:
        tokens = {path: hub.receipt(path)["tokens_listed"] for path in hub.endpoints}

    assert tokens[""] == tokens["/exact"] == tokens["/many"] == tokens["/profiles/unlimited"]
    assert 0.8 * tokens["/estimated"] < tokens["/exact"] < tokens["/estimated"]


@pytest.mark.parametrize("place", ["budget", "endpoint"])
async def test_a_hub_without_the_package_does_not_start(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    tokenizers._o200k.cache_clear()  # pyright: ignore[reportPrivateUsage] # as in a new process
    exact = {"tokenizer": "o200k"}
    settings = {"budget": exact} if place == "budget" else {"endpoints": {"x": {"tools": ["*"], "budget": exact}}}

    with pytest.raises(ConfigError, match=r"pegboard\[tokenizer\]"):
        async with hub_of(many(9), settings=settings):
            pytest.fail("the hub must not start")
