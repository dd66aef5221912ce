"""TLS: the certificate the hub serves with."""

import ssl
from pathlib import Path

import pytest
from tests.certificates import Pair, make_pair

from pegboard.errors import ConfigError
from pegboard.serving.tls import context_of, load, open_key
from pegboard.settings import ServerSettings


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path)


def settings(certificate: Path | None, key: Path | None = None) -> ServerSettings:
    return ServerSettings(tls_certificate=certificate, tls_key=key)


def shown_by(context: ssl.SSLContext) -> bytes:
    """The certificate that a client is shown, in a handshake without a network."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server)
    theirs = context.wrap_bio(to_server, to_client, server_side=True)
    for side in (ours, theirs, ours):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
    shown = ours.getpeercert(binary_form=True)
    assert shown is not None
    return shown


def test_without_a_certificate_there_is_no_tls() -> None:
    assert context_of(settings(None)) is None


def test_a_certificate_is_served_by_tls_1_2_or_newer(pair: Pair) -> None:
    context = context_of(settings(pair.certificate, pair.key))

    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert ssl.DER_cert_to_PEM_cert(shown_by(context)).strip() == pair.certificate.read_text().strip()


def test_one_file_may_hold_both(pair: Pair, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(pair.key.read_bytes() + pair.certificate.read_bytes())

    assert context_of(settings(both)) is not None


def test_wrong_files_are_named_with_what_is_wrong(pair: Pair, tmp_path: Path) -> None:
    other = make_pair(tmp_path, "other")
    locked = make_pair(tmp_path, "locked", passphrase=b"swordfish")
    torn = tmp_path / "torn.pem"
    torn.write_text("-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n")

    def why(certificate: Path | None, key: Path | None) -> str:
        with pytest.raises(ConfigError) as raised:
            context_of(settings(certificate, key))
        return str(raised.value)

    missing = tmp_path / "missing.pem"
    assert why(None, pair.key) == "[server] tls_key: there is no tls_certificate for it; name both"
    assert why(missing, pair.key) == f"[server] tls_certificate: {missing} cannot be read: No such file or directory"
    assert why(pair.certificate, tmp_path).startswith(f"[server] tls_key: {tmp_path} cannot be read")
    assert why(pair.key, pair.key) == f"[server] tls_certificate: {pair.key} holds no certificate in PEM form"
    assert why(pair.certificate, pair.certificate).endswith("holds no private key in PEM form")
    assert why(pair.certificate, None).endswith("hub.pem holds no private key in PEM form")
    assert (
        why(pair.certificate, other.key)
        == f"[server] tls_key: {other.key} is not the private key of {pair.certificate}"
    )
    assert why(locked.certificate, locked.key).startswith("[server] tls_key: the private key is encrypted")
    assert why(torn, pair.key).startswith(f"[server] tls_certificate: {torn} and {pair.key} cannot be used")
    assert "hunter2" not in why(torn, pair.key)


def test_a_new_certificate_is_shown_after_a_reload_and_a_wrong_one_changes_nothing(pair: Pair, tmp_path: Path) -> None:
    context = context_of(settings(pair.certificate, pair.key))
    assert context is not None
    first, other = shown_by(context), make_pair(tmp_path, "other")

    with pytest.raises(ConfigError):
        load(context, settings(other.certificate, pair.key))
    assert shown_by(context) == first
    load(context, settings(other.certificate, other.key))

    assert shown_by(context) != first


def test_a_key_that_others_can_read_is_named(pair: Pair) -> None:
    assert open_key(settings(pair.certificate, pair.key)) is None
    pair.key.chmod(0o644)

    assert open_key(settings(pair.certificate, pair.key)) == (
        f"{pair.key}: others can read it, and it holds the private key of the hub; chmod 600 {pair.key}"
    )
    assert open_key(settings(None)) is None
