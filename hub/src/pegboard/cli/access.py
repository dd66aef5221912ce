"""Problems with who may call: keys that cannot be read or that fit nothing, and a hub that is open to everybody."""

from collections.abc import Iterator, Sequence

from pegboard.cli.strangers import strange_scopes
from pegboard.errors import ConfigError
from pegboard.loading import Loaded
from pegboard.security.keyfile import exposure, read_keys
from pegboard.security.keys import Key, Keyring
from pegboard.security.keystore import keys_of
from pegboard.serving.auth import refuse_strangers
from pegboard.settings import HubSettings


def access_errors(settings: HubSettings) -> Iterator[str]:
    """What keeps the hub from starting."""
    try:
        if not (settings.auth.keys_file or settings.keys or settings.oauth.is_on):
            refuse_strangers(settings.server)
        Keyring(_keys(settings))
    except ConfigError as error:
        yield str(error)


def access_warnings(settings: HubSettings, loaded: Sequence[Loaded]) -> Iterator[str]:
    """What will not be as somebody may think. Nothing about keys that cannot be read, which is an error."""
    file = settings.auth.keys_file
    try:
        live = [key for key in _keys(settings) if key.is_live]
        exposed = exposure(file) if file is not None else None
    except ConfigError:
        return
    if exposed is not None:
        yield exposed
    yield from dict.fromkeys(line for key in live for line in _doubts(key, settings, loaded))  # two may have a name


def _doubts(key: Key, settings: HubSettings, loaded: Sequence[Loaded]) -> Iterator[str]:
    yield from (f"the key {key.name!r}: {line}" for line in strange_scopes(key.scopes, loaded))
    if key.tenant is not None and key.tenant not in settings.tenants:
        yield f"the key {key.name!r}: there is no [tenants.{key.tenant}], so that it may call nothing"


def _keys(settings: HubSettings) -> list[Key]:
    file = settings.auth.keys_file
    return [*keys_of(settings.keys), *(read_keys(file) if file is not None else ())]
