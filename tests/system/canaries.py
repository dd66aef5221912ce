"""Canaries: secrets that are planted wherever a hub can know or meet one, to be searched for in all it writes."""

import base64
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote

PLACES = (
    *("dsn", "redis", "setting", "nested", "awx", "tenant", "neo4j", "qdrant", "otlp", "variable"),
    *("bearer", "basic", "internal", "cookie", "query", "header", "argument", "raised", "jwt"),
)
"""Where one is planted: in the configuration and the environment, and in what is sent or raised."""

CANARY = {place: f"cnry{number:02}x{place}xQ7vZ" for number, place in enumerate(PLACES)}

ENVIRON = {
    "PGPASSWORD": CANARY["variable"],
    "CANARY_TOKEN": CANARY["variable"],
    "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{CANARY['otlp']}",
}
"""In the environment of every hub process of the suite: what a hub may use, and what is none of its business."""


def shapes(secret: str) -> Iterator[str]:
    """A secret as it may be written: as it is, in a URL, in JSON, in base64 behind anything, in hexadecimal."""
    yield from (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], secret.encode().hex())
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + secret.encode()).decode()
        yield encoded[4 : len(encoded) - 4]


def found_in(text: str, secrets: Iterable[str] = CANARY.values()) -> list[str]:
    """The secrets that stand in a text, each with what is around it."""
    hits: list[str] = []
    for secret in secrets:
        for shape in dict.fromkeys(shapes(secret)):
            place = text.find(shape)
            if place >= 0:
                hits.append(f"{secret}: ...{text[max(0, place - 200) : place + 60]}...")
                break
    return hits
