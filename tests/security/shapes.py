"""What a client could send: JSON of any shape, JSON-RPC of nearly the right one, and headers of all kinds."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from hypothesis import strategies as st

MARK = "h4rmless-m4rk"
"""In every text that is made up, so that a log can be searched for what a client has sent."""

EXAMPLES = int(os.environ.get("PEGBOARD_FUZZ", "0"))
"""How many examples a longer run wants; in CI they are few, and always the same."""

texts = st.text(st.characters(codec="utf-8"), max_size=12).map(lambda text: MARK + text)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), texts, st.sampled_from(["", "0", "-1", "null", "a" * 300])
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3))


anything: st.SearchStrategy[Any] = st.recursive(scalars, containers, max_leaves=6)

_METHODS = """
initialize notifications/initialized ping tools/list tools/call prompts/list prompts/get resources/list
resources/templates/list resources/read resources/subscribe completion/complete logging/setLevel server/discover
subscriptions/listen notifications/cancelled tasks/get sampling/createMessage elicitation/create
"""
METHODS = _METHODS.split()


def params_of(tools: Sequence[str], metas: Sequence[Mapping[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """The parameters of any method, most of them with something wrong."""
    arguments = st.one_of(
        st.just(dict[str, Any]()), st.dictionaries(st.sampled_from(["payload", "name", "cursor"]), anything), anything
    )
    return st.fixed_dictionaries(
        {},
        optional={
            "name": st.one_of(st.sampled_from(tools), anything),
            "arguments": arguments,
            "uri": st.one_of(st.sampled_from(["pegboard://budget", "file:///etc/passwd"]), anything),
            "cursor": anything,
            "protocolVersion": st.one_of(st.sampled_from(["2024-11-05", "2025-11-25", "2026-07-28"]), anything),
            "capabilities": st.one_of(st.just({}), anything),
            "clientInfo": st.one_of(st.just({"name": "fuzz", "version": "1"}), anything),
            "requestId": anything,
            "requestState": anything,
            "inputResponses": anything,
            "notifications": st.one_of(st.just({"toolsListChanged": True}), anything),
            "_meta": st.one_of(st.sampled_from(metas), st.sampled_from(metas), anything),
        },
    )


def messages(tools: Sequence[str], metas: Sequence[Mapping[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """JSON-RPC messages, most of them with something wrong."""
    params = params_of(tools, metas)
    return st.fixed_dictionaries(
        {"jsonrpc": st.one_of(st.just("2.0"), st.just("2.0"), st.just("2.0"), anything)},
        optional={
            "id": st.one_of(st.integers(0, 9), st.integers(0, 9), texts, anything),
            "method": st.one_of(st.sampled_from(METHODS), st.sampled_from(METHODS), st.just("tools/call"), anything),
            "params": st.one_of(params, params, params, anything),
            "result": anything,
            "error": anything,
        },
    )


def bodies(of: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[bytes]:
    """Messages as bytes: whole, in a batch, cut, with bytes changed, and none at all."""
    whole = of.map(dumped)
    return st.one_of(
        whole,
        whole,
        whole,
        st.lists(of, max_size=3).map(dumped),
        st.tuples(whole, st.integers(0, 200)).map(lambda pair: pair[0][: -pair[1] - 1]),
        st.tuples(whole, st.integers(0, 200), st.binary(max_size=3)).map(spoiled),
        anything.map(dumped),
        st.binary(max_size=50).map(lambda raw: MARK.encode() + raw),
        st.just(b""),
    )


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode(errors="surrogatepass")


def spoiled(parts: tuple[bytes, int, bytes]) -> bytes:
    whole, place, put = parts
    place %= len(whole) + 1
    return whole[:place] + put + whole[place + len(put) :]


latin = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20)


def headers(values: Mapping[str, Sequence[str]]) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Some headers, also twice, with the values that count and others."""
    one = st.one_of(
        *(st.tuples(st.just(name), st.one_of(st.sampled_from(known), latin)) for name, known in values.items())
    )
    return st.lists(one, max_size=4)


def arguments_of(schema: Mapping[str, Any], names: Sequence[str] = ()) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments for a tool: of the right types mostly, of any else, missing, too many; `names` are of real things."""
    properties = cast(Mapping[str, Any], schema.get("properties", {}))
    values = Values(cast(Mapping[str, Any], schema.get("$defs", {})), names)
    fitting = {name: values.of(inner) for name, inner in properties.items()}
    odd = {name: st.one_of(value, anything) for name, value in fitting.items()}
    required = [name for name in schema.get("required", ()) if name in properties]
    rest = [name for name in properties if name not in required]

    def both(of: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({name: of[name] for name in required}, optional={name: of[name] for name in rest})

    wrong = st.one_of(both(odd), st.fixed_dictionaries({}, optional=odd), st.dictionaries(texts, anything, max_size=2))
    return st.one_of(both(fitting), both(fitting), wrong)


EDGES = [0, 1, -1, 7, 10, 2**31, 2**63, -(2**63) - 1, 10**30]
WORDS = [
    "1",
    "",
    "*",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "../../x",
    "a'b\"c`d",
    "\u0000",
    "%2f..",
    "?x=1",
    "{{ x }}",
]


@dataclass(frozen=True)
class Values:
    """Values of JSON schemas, and some that are just outside of them."""

    definitions: Mapping[str, Any]
    names: Sequence[str] = ()

    def of(self, schema: Any) -> st.SearchStrategy[Any]:
        found = cast(Mapping[str, Any], schema if isinstance(schema, Mapping) else {})
        if "$ref" in found:
            return st.deferred(lambda: self.of(self.definitions.get(str(found["$ref"]).rpartition("/")[2])))
        choices = [*found.get("anyOf", ()), *found.get("oneOf", ())]
        if choices:
            return st.one_of(*map(self.of, choices))
        if "enum" in found:
            return st.sampled_from(cast(Sequence[Any], found["enum"]))
        return self._of_type(str(found.get("type")), found)

    def _of_type(self, name: str, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        if name == "string":
            return st.one_of(texts, st.sampled_from([*WORDS, *self.names]))
        if name == "integer":
            return st.one_of(st.integers(0, 30), st.sampled_from(EDGES))
        if name == "number":
            return st.one_of(st.integers(0, 30), st.floats(allow_nan=False, allow_infinity=False))
        if name == "array":
            return st.lists(self.of(schema.get("items")), max_size=3)
        if name == "object" and "properties" in schema:
            return arguments_of({**schema, "$defs": self.definitions}, self.names)
        if name == "object":
            return st.dictionaries(texts, anything, max_size=2)
        return {"boolean": st.booleans(), "null": st.none()}.get(name, anything)
