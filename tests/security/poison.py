"""Tool poisoning: what in the words of a tool is meant for the model behind its user's back (S-25)."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

RULES: Mapping[str, str] = {
    "talks like the system": r"<\s*/?\s*(important|system|instructions?|assistant|secret|hidden)\b|<\|\w+\|>|\[/?inst\]"
    r"|system prompt|<!--|\bbegin (system|instructions)",
    "overrides what was said": r"\b(ignore|disregard|forget|override)\b[^.]{0,40}\b(previous|prior|above|other|all|any)"
    r"\b[^.]{0,30}\b(instructions?|rules?|prompts?|messages?|tools?)\b|new instructions",
    "keeps something from the user": r"\b(do not|don't|never|without)\b[^.]{0,20}\b(tell|mention|inform|notify|show|ask"
    r"|alert|reveal|telling|mentioning|informing|asking)\w*\b[^.]{0,20}\b(the )?user|\bsilently\b|\bsecretly\b",
    "puts itself before other tools": r"\b(before|after|when|whenever|instead of)\b[^.]{0,20}\b(us|call|runn?|invok)"
    r"ing?\b[^.]{0,20}\b(any|every|each|all|another|other)\b[^.]{0,12}\btools?\b|must (always )?be (called|used|run)"
    r" first|always (call|use|run) this",
    "asks for what is none of its business": r"~/|\.ssh\b|id_rsa|\.env\b|/etc/(passwd|shadow)|\.aws\b|mcp\.json"
    r"|(chat|conversation) (history|log)|(entire|whole|full) conversation|your (instructions|context|memory|system)",
    "sends it somewhere": r"\b(send|post|upload|forward|exfiltrate|leak|transmit)\b[^.]{0,60}(https?://|\bto (this|the)"
    r" (url|server|address|endpoint)|@[a-z0-9-]+\.[a-z]|webhook)|\b(bcc|base64[- ]encode)\b",
    "promises a threat": r"\b(or else|will be (lost|deleted|terminated)|otherwise the (user|system) will)\b",
}
ALPHABETS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
EVERYWHERE = frozenset({"fetch_more", "search_tools", "call_tool", "call_read_tool"})
"""The hub's own tools that stand beside every plugin's."""

PLACES = ("localhost", "127.0.0.1", "example.com", "example.org", "json-schema.org")

Finding = tuple[str, str, str]


def findings(value: Any, where: str = "") -> Iterator[Finding]:
    """Where in a value somebody speaks to the model, and how: place, rule, and the words."""
    if isinstance(value, str):
        yield from ((where, rule, words) for rule, words in in_text(value))
    elif isinstance(value, Mapping):
        for name, inner in cast(Mapping[Any, Any], value).items():
            yield from ((where, rule, words) for rule, words in in_text(str(name)))
            yield from findings(inner, f"{where}.{name}")
    elif isinstance(value, Sequence):
        for number, inner in enumerate(cast(Sequence[Any], value)):
            yield from findings(inner, f"{where}[{number}]")


def in_text(text: str) -> Iterator[tuple[str, str]]:
    for rule, pattern in RULES.items():
        match = re.search(pattern, text, re.IGNORECASE | re.DOTALL)
        if match is not None:
            yield rule, match[0]
    hidden = [char for char in text if unicodedata.category(char) in ("Cf", "Co", "Cs", "Cn", "Cc") and char != "\n"]
    if hidden or "\n\n\n\n" in text or " " * 40 in text:
        yield "hides characters", repr("".join(hidden))
    for word in re.findall(r"\w+", text):
        names = {unicodedata.name(char, "").partition(" ")[0] for char in word} & {*ALPHABETS}
        if len(names) > 1:
            yield "mixes alphabets", word
    for host in re.findall(r"(?!pegboard:)\b\w+://([^\s/:\"'`)>,]+)", text):
        if not any(host == place or host.endswith(f".{place}") for place in PLACES):
            yield "names an address", host
    if re.search(r"[A-Za-z0-9+/]{80,}={0,2}", text):
        yield "carries a code", text[:40]


def shadows(tools: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Tools whose words are about a tool of another plugin, or whose names look like another's."""
    plugins = {name: name.partition("_")[0] for name in tools}
    seen: dict[str, str] = {}
    for name, tool in tools.items():
        said = {*re.findall(r"[a-z][a-z0-9_]+", str(tool))} & ({*tools} - EVERYWHERE)
        yield from (
            (name, "speaks of another plugin's tool", other) for other in said if plugins[other] != plugins[name]
        )
        looks = unicodedata.normalize("NFKC", name).casefold().replace("-", "_").replace("0", "o").replace("1", "l")
        if seen.setdefault(looks, name) != name:
            yield name, "looks like another tool", seen[looks]
