"""The settings of the plugin, `[plugins.awx]`."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from pegboard import PluginSettings
from pegboard_awx.target import MEBIBYTE, Target

CALLERS_TOKEN = "X-AWX-Token"  # noqa: S105 # a header
"""By which a caller sends a token of their own."""

EXAMPLE = "https://awx.example.com"


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"must be a URL like {EXAMPLE}")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or a password; use token, or username and password")
    if parts.query or parts.fragment:
        raise ValueError("must end with the path")
    return url


def _check_root(folder: Path) -> Path:
    if not folder.is_absolute() or folder == Path(folder.anchor):
        raise ValueError("must be the full path of a folder, and not all of the disk")
    return folder


class Settings(PluginSettings):
    """Which AWX the tools talk to, as whom, and how much of it a call may take."""

    url: Annotated[str, AfterValidator(_check_url)] = Field(
        description=f"AWX or the Automation Platform: {EXAMPLE}. The prefix of the API is found by asking."
    )
    token: SecretStr = Field(default=SecretStr(""), description="A personal access token; better than a password.")
    username: str = Field(default="", description="The user, where there is no token.")
    password: SecretStr = Field(default=SecretStr(""), description="The user's password.")
    callers_log_in: bool = Field(
        default=False, description=f"Whether the login may be left to callers, who send a token as {CALLERS_TOKEN}."
    )
    ca_file: str | None = Field(default=None, description="Certificates to trust, a PEM file.")
    verify_tls: bool = Field(default=True, description="Whether to check the certificate of AWX. Keep it on.")
    connect_timeout: float = Field(default=10.0, gt=0, le=60, description="Seconds to wait for a connection.")
    read_timeout: float = Field(default=60.0, gt=0, le=600, description="Seconds to wait for an answer of AWX.")
    max_response: int = Field(
        default=8 * MEBIBYTE, ge=64 * 1024, le=256 * MEBIBYTE, description="Bytes of one answer of AWX, at most."
    )
    allow_templates: tuple[int | str, ...] | None = Field(
        default=None, description="The only templates that may be launched: numbers, or names like `Deploy*`."
    )
    allow_inventories: tuple[int | str, ...] | None = Field(
        default=None, description="The only inventories jobs may be started on: numbers, or names like `Staging*`."
    )
    launch_window: float = Field(
        default=60.0, ge=0, le=3600, description="Seconds in which the same launch, sent again, starts nothing."
    )

    local_roots: tuple[Annotated[Path, AfterValidator(_check_root)], ...] = Field(
        default=(), description="Folders where Ansible may be run on this machine. Turns the local tools on."
    )
    local_bin: Path | None = Field(
        default=None, description="The folder of Ansible's commands, where they are not on the PATH."
    )

    @model_validator(mode="after")
    def _check_user(self) -> Self:
        if not self.has_login and not self.callers_log_in:
            raise ValueError("needs a token, or a username and a password")
        return self

    @property
    def has_login(self) -> bool:
        """Whether they say as whom to log in."""
        return bool(self.token.get_secret_value() or (self.username and self.password.get_secret_value()))

    @property
    def target(self) -> Target:
        """The key of the pool these settings describe."""
        return Target(
            self.url,
            self.token.get_secret_value(),
            self.username,
            self.password.get_secret_value(),
            self.ca_file,
            self.verify_tls,
            self.connect_timeout,
            self.read_timeout,
            self.max_response,
        )
