"""TLS: the certificate the hub serves with, read again at each reload."""

import os
import ssl
from pathlib import Path

from pegboard.errors import ConfigError
from pegboard.settings import ServerSettings

READABLE_BY_OTHERS = 0o044

MISMATCH = "KEY_VALUES_MISMATCH"


def context_of(settings: ServerSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the configured certificate; `None` without one. Raises `ConfigError` for wrong files."""
    if settings.tls_certificate is None:
        if settings.tls_key is not None:
            raise ConfigError("[server] tls_key: there is no tls_certificate for it; name both")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load(context, settings)
    return context


def load(context: ssl.SSLContext, settings: ServerSettings) -> None:
    """Let new connections have the certificate as its files are now. Raises `ConfigError`; then the old one stays."""
    certificate, key = settings.tls_certificate, settings.tls_key or settings.tls_certificate
    assert certificate is not None
    assert key is not None
    _check("tls_certificate", certificate, "-----BEGIN CERTIFICATE-----")
    _check("tls_key" if settings.tls_key else "tls_certificate", key, "PRIVATE KEY-----")
    # First into one that nobody uses: what fails half-way leaves half of it behind.
    for target in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), context):
        try:
            target.load_cert_chain(certificate, key, password=_no_password)
        except ssl.SSLError as error:
            raise ConfigError(_why(error, certificate, key)) from None


def open_key(settings: ServerSettings) -> str | None:
    """What to do about a private key that others can read."""
    key = settings.tls_key or settings.tls_certificate
    if key is None or os.name != "posix" or not key.is_file() or not key.stat().st_mode & READABLE_BY_OTHERS:
        return None
    return f"{key}: others can read it, and it holds the private key of the hub; chmod 600 {key}"


def _check(setting: str, file: Path, mark: str) -> None:
    try:
        text = file.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise ConfigError(f"[server] {setting}: {file} cannot be read: {error.strerror}") from error
    if mark not in text:
        what = "certificate" if "CERTIFICATE" in mark else "private key"
        raise ConfigError(f"[server] {setting}: {file} holds no {what} in PEM form")


def _why(error: ssl.SSLError, certificate: Path, key: Path) -> str:
    if error.reason == MISMATCH:
        return f"[server] tls_key: {key} is not the private key of {certificate}"
    return f"[server] tls_certificate: {certificate} and {key} cannot be used ({error.reason or 'no PEM'})"


def _no_password() -> str:
    raise ConfigError("[server] tls_key: the private key is encrypted; write it without a passphrase (openssl pkey)")
