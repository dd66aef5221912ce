"""Listening: what keeps the hub from serving clients as it is told, beside its plugins."""

from collections.abc import Iterator

from pegboard.errors import ConfigError
from pegboard.serving import tls
from pegboard.settings import HubSettings
from pegboard.shared.link import Link


def listening_errors(settings: HubSettings) -> Iterator[str]:
    """What is wrong with the certificate, or with the Redis that replicas share, without asking either."""
    try:
        tls.context_of(settings.server)
    except ConfigError as error:
        yield str(error)
    try:
        if settings.server.redis is not None:
            Link(settings.server.redis)
    except ConfigError as error:
        yield str(error)


def listening_warnings(settings: HubSettings) -> Iterator[str]:
    """What is served, and hardly meant."""
    others_read = tls.open_key(settings.server)
    if others_read is not None:
        yield others_read
    asks = settings.auth.keys_file is not None or settings.keys or settings.oauth.issuer
    if settings.limits.calls_per_minute is not None and not asks:
        yield "[limits] calls_per_minute counts for each key, and nobody has to show one; see [auth]"
