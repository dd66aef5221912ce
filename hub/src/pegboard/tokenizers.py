"""How tokens are counted: estimated for free, or exactly with an optional package."""

from functools import cache
from importlib import import_module

from pegboard.budget import CountTokens, count_tokens
from pegboard.errors import ConfigError

PIECE = 500_000
"""The package refuses a million characters."""


def counter(tokenizer: str | None) -> CountTokens:
    """The counter of that name: `estimate`, which is the default, or `o200k` with `pegboard[tokenizer]`.

    Raises `ConfigError` that says what to install.
    """
    return _o200k() if tokenizer == "o200k" else count_tokens


@cache
def _o200k() -> CountTokens:
    try:
        bpe_openai = import_module("bpe_openai")  # an optional package, without types
    except ImportError as error:
        raise ConfigError(
            "[budget] tokenizer = \"o200k\" needs a package; pip install 'pegboard[tokenizer]'"
        ) from error
    encode = bpe_openai.get_encoding("o200k_base").encode_ordinary
    return lambda text: sum(len(encode(text[at : at + PIECE])) for at in range(0, len(text), PIECE))
