"""Settings: everything that can be set, as frozen models; `configuration` reads them."""

import re
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_core import from_json

from pegboard.addresses import is_address

TABLES = frozenset({"endpoints", "keys", "plugins", "tenants"})
"""Sections that are tables of tables, and have no variables."""

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@*,]+/?")

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a private key, which the hub does not have."""


def _from_text(value: Any) -> Any:
    """A list written in a variable: JSON, or words between commas."""
    if not isinstance(value, str):
        return value
    return (
        from_json(value)
        if value.lstrip().startswith("[")
        else [word.strip() for word in value.split(",") if word.strip()]
    )


def _is_requirement(line: str) -> str:
    try:
        given = Requirement(line)
    except InvalidRequirement:
        given = None
    # An extra, a marker or a URL would look as if it narrowed the trust, and nobody checks it.
    if given is None or given.extras or given.marker or given.url:
        raise ValueError(f"{line!r} is not a distribution name with an optional version range")
    return line


def _is_address(url: str, *, query: bool = False) -> str:
    if not is_address(url, query=query):
        raise ValueError("must be an https URL like https://hub.example.com (http only on this machine), and no more")
    return url


def _is_sha256(secret: SecretStr) -> SecretStr:
    if not re.fullmatch("[0-9a-fA-F]{64}", secret.get_secret_value()):
        raise ValueError("must be the SHA-256 of the key, 64 hexadecimal digits, not the key itself")
    return secret


def _is_proxy(line: str) -> str:
    try:
        network = ip_network(line, strict=False)
    except ValueError:
        raise ValueError(f"{line!r} is no address and no network like 10.0.0.0/8") from None
    if not network.prefixlen:
        raise ValueError(f"{line!r} is everybody, who could then be anybody; name your proxies")
    return line


def _is_origin(line: str) -> str:
    if ORIGIN.fullmatch(line.lower()) is None:
        raise ValueError(f"{line!r} is no origin; write each out like https://app.example.com, there are no patterns")
    return line


def _is_algorithm(name: str) -> str:
    if name not in ALGORITHMS:
        raise ValueError(f"must be one of {', '.join(ALGORITHMS)}: whoever checks with a secret could forge as well")
    return name


Strings = Annotated[tuple[str, ...], BeforeValidator(_from_text)]
Proxies = Annotated[tuple[Annotated[str, AfterValidator(_is_proxy)], ...], BeforeValidator(_from_text)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_is_origin)], ...], BeforeValidator(_from_text)]
Address = Annotated[str, AfterValidator(_is_address)]
ScopeWord = Annotated[str, Field(pattern=r"^[!#-\[\]-~]+$")]
Algorithm = Annotated[str, AfterValidator(_is_algorithm)]

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Section(BaseModel):
    """A section of the configuration: frozen, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSettings(Section):
    """`[server]`: where the hub listens, and what it takes from clients."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    split_ports: int | None = Field(
        default=None, ge=1, le=65_000, description="Serve each endpoint at a port of its own too, from this one on."
    )
    port: int = Field(default=8000, ge=0, le=65_535, description="Port to listen on; 0 lets the system choose one.")
    unauthenticated: bool = Field(
        default=False, description="Listen on other addresses than loopback although nobody has to show a key."
    )
    allowed_hosts: Strings = Field(
        default=(),
        description="Hosts clients may name beside the loopback ones, with or without a port.",
    )
    allowed_origins: Origins = Field(
        default=(), description="Origins of browser apps that may call: `https://app.example.com`."
    )
    max_body_bytes: int = Field(default=4 * 1024 * 1024, ge=1024, description="Largest request body.")
    head_timeout: Seconds = Field(default=30, description="Seconds a client has to send the head of its request.")
    body_timeout: Seconds = Field(default=30, description="Seconds a client has to send its request body.")
    max_sessions: int = Field(default=1000, ge=1, description="Most open SSE sessions, and most `/mcp` sessions.")
    max_calls_per_session: int = Field(default=32, ge=1, description="Requests one session may have unanswered.")
    session_idle_timeout: Seconds = Field(default=1800, description="Seconds until an unused `/mcp` session is closed.")
    stalled_timeout: Seconds = Field(default=30, description="Seconds until a client that does not read is dropped.")
    drain_delay: float = Field(
        default=0, ge=0, le=3600, description="Seconds it goes on at the end while `/ready` says 503."
    )
    grace: Seconds = Field(default=30, description="Seconds calls in flight have to finish at the end.")
    replica: str | None = Field(
        default=None,
        pattern="^[a-z0-9][a-z0-9-]{0,62}$",
        description="The name of this replica, which then stands in the paths its SSE clients post to.",
    )
    workers: int = Field(default=1, ge=1, le=64, description="Processes that serve the port together.")
    stateless: bool = Field(default=False, description="Keep no `/mcp` sessions, so that any replica can answer.")
    secret: SecretStr | None = Field(
        default=None, min_length=32, description="What replicas sign cursors and confirmations with; the same for all."
    )
    redis: SecretStr | None = Field(
        default=None,
        description="Redis by which replicas share limits, revoked keys and news; needs `pegboard[redis]`.",
    )
    trusted_proxies: Proxies = Field(
        default=(), description="Addresses or networks of proxies whose `X-Forwarded-*` headers count."
    )
    tls_certificate: Path | None = Field(default=None, description="PEM file of the certificate chain, to serve TLS.")
    tls_key: Path | None = Field(
        default=None, description="PEM file of its private key, where that is not in the same file."
    )

    @property
    def messages(self) -> str:
        """What stands behind an endpoint's path where SSE clients post to."""
        return "messages/" if self.replica is None else f"messages/{self.replica}/"


class AuthSettings(Section):
    """`[auth]`: the keys that callers show; without any, and without `[oauth]`, the hub serves this machine only."""

    keys_file: Path | None = Field(default=None, description="File of hashed keys, which `pegboard keys` writes.")


class KeySettings(Section):
    """`[keys.NAME]`: a key that stands in no file; `pegboard keys create --print` writes the table."""

    id: str = Field(pattern="^[a-z0-9]{4,32}$", description="What stands in the key behind `peg_`.")
    sha256: Annotated[SecretStr, AfterValidator(_is_sha256)] = Field(
        description="The SHA-256 of the whole key, in hexadecimal."
    )
    scopes: Strings = Field(description="What its owner may do.")
    tenant: str | None = Field(default=None, description="The tenant its owner belongs to.")
    expires: AwareDatetime | None = Field(default=None, description="When it ends, with an offset from UTC.")


class OAuthSettings(Section):
    """`[oauth]`: access tokens (JWT) of an authorization server that callers may show in place of keys."""

    issuer: Address | None = Field(default=None, description="The `iss` of its tokens, an https URL.")
    resource: Address | None = Field(default=None, description="The hub's own URL, which tokens must be issued for.")
    jwks_url: Annotated[str, AfterValidator(partial(_is_address, query=True))] | None = Field(
        default=None, description="Where its keys are; its metadata tells if you do not say."
    )
    algorithms: Annotated[tuple[Algorithm, ...], BeforeValidator(_from_text)] = Field(
        default=("RS256", "ES256", "EdDSA"), min_length=1, description="Signatures that count."
    )
    scope_claims: Strings = Field(
        default=("scope", "scp"), description="Claims that hold scopes or roles, such as `realm_access.roles`."
    )
    scopes: dict[str, Strings] = Field(
        default_factory=dict, description="What a scope or role of a token allows here, where it is none of ours."
    )
    ask_for: Annotated[tuple[ScopeWord, ...], BeforeValidator(_from_text)] | None = Field(
        default=None, description="Scopes clients are told to ask for; `read` if `scopes` translates none."
    )
    tenant_claim: str | None = Field(default=None, description="The claim that names the tenant.")

    @property
    def is_on(self) -> bool:
        """Whether tokens count."""
        return self.issuer is not None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.is_on and self.resource is None:
            raise ValueError('a token must be issued for this hub; say its URL: resource = "https://hub.example.com"')
        fields = type(self).model_fields.items()
        is_empty = all(getattr(self, name) == field.get_default(call_default_factory=True) for name, field in fields)
        if not self.is_on and not is_empty:
            raise ValueError('nobody\'s tokens count yet; say whose: issuer = "https://login.example.com"')
        return self


class LimitSettings(Section):
    """`[limits]`: how much one caller may take; those on calls count for all endpoints together."""

    calls_per_minute: int | None = Field(default=None, ge=1, description="Requests a key may send a minute.")
    burst: int | None = Field(
        default=None, ge=1, description="Most of them at once; a tenth if not said, but not less than 10."
    )
    calls_per_key: int = Field(default=64, ge=1, description="Calls of one key that run at once.")
    sessions_per_key: int = Field(default=250, ge=1, description="Sessions of one key that are open at once.")
    calls_per_plugin: int = Field(default=128, ge=1, description="Calls of one plugin that run at once.")
    queue: int = Field(default=1024, ge=0, description="Calls that may wait for their plugin.")
    queue_timeout: Seconds = Field(default=5, description="Seconds a call waits for its plugin.")
    failures_per_minute: int = Field(default=10, ge=1, description="Wrong keys from one address, until 429.")


class PoolSettings(Section):
    """`[pools]`: what happens when a backend does not answer."""

    failures: int = Field(default=5, ge=1, description="Failures in a row that open a pool's circuit breaker.")
    pause: Seconds = Field(default=5, description="Seconds until an open breaker lets one call try.")
    retries: float = Field(default=0.1, ge=0, le=1, description="Retries of reads, as a share of the calls.")


class MetricsSettings(Section):
    """`[metrics]`: `/metrics`, for Prometheus."""

    enabled: bool = Field(default=True, description="Serve `/metrics`.")
    public: bool = Field(default=False, description="Serve it without a key, where the hub asks for keys.")


class TenantSettings(Section):
    """`[tenants.NAME]`: what is different for the callers of one tenant."""

    shared: bool = Field(
        default=True, description="Whether plugins without a table here work with the settings of `[plugins.NAME]`."
    )
    plugins: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Tables that are laid over `[plugins.NAME]`.", repr=False
    )


class CallSettings(Section):
    """`[calls]`: the deadlines of tool calls."""

    deadline: Seconds = Field(default=30, description="Seconds a call may take, unless its tool says otherwise.")
    max_deadline: Seconds = Field(default=300, description="Most a client may ask for, by `pegboard/deadline`.")
    confirm_by_token: bool = Field(
        default=True, description="Where a client cannot ask its user, let a second call with a token confirm."
    )


class ResultSettings(Section):
    """`[results]`: how long an answer may be, and how long the rest of it is kept."""

    tokens: int = Field(default=4000, ge=300, description="Most tokens of one answer, as estimated.")
    bytes: int = Field(default=256 * 1024, ge=4096, description="Most bytes of one answer.")
    cell: int = Field(default=2000, ge=50, description="Most characters of one string in an answer that is too long.")
    expire: Seconds = Field(default=600, description="Seconds a cursor can be used after its answer.")
    idle: Seconds = Field(default=30, description="Seconds a database cursor stays open when nobody goes on.")
    open_cursors: int = Field(default=4, ge=0, description="Most database cursors that stay open between calls.")
    store_bytes: int = Field(default=32 * 1024 * 1024, ge=0, description="Most bytes of rows kept for later.")


class LoadingSettings(Section):
    """`[loading]`: how plugins are loaded."""

    timeout: Seconds = Field(default=10, description="Seconds a plugin has for its import, and again for its set-up.")
    strict: bool = Field(default=False, description="Do not start when a plugin cannot be loaded.")


class TrustSettings(Section):
    """`[trust]`: which distributions may bring plugins, beside the project's own."""

    allow: Annotated[tuple[Annotated[str, AfterValidator(_is_requirement)], ...], BeforeValidator(_from_text)] = Field(
        default=(), description='Distribution names, with an optional version range: `"pegboard-weather>=0.1,<1"`.'
    )


class BudgetSettings(Section):
    """`[budget]`, and `[endpoints.NAME.budget]` for one endpoint: how many tools a client sees at once."""

    profile: Literal["small", "medium", "large", "unlimited"] | None = Field(
        default=None, description="8 tools / 1 500 tokens, 16 / 3 000, 40 / 8 000 (the default), or no limit."
    )
    tools: int | None = Field(default=None, ge=1, description="Most tools listed, in place of the profile's.")
    tokens: int | None = Field(default=None, ge=1, description="Most tokens of the list, in place of the profile's.")
    overflow: Literal["search", "split", "error"] | None = Field(
        default=None, description="Beyond that: search_tools and call_tool, only the group endpoints, or no start."
    )
    pinned: Strings = Field(default=(), description="Tools that are listed whatever else is not.")
    read_twin: bool = Field(default=False, description="List call_read_tool, too, which runs read-only tools only.")
    semantic: bool = Field(default=False, description="Search by meaning, too; needs `pegboard[semantic]`.")
    tokenizer: Literal["estimate", "o200k"] | None = Field(
        default=None, description="How tokens are counted: `estimate` (the default), or `o200k`, exact and an extra."
    )


class EndpointSettings(Section):
    """`[endpoints.NAME]`: an endpoint of your own, at `/NAME/sse` and `/NAME/mcp`."""

    tools: Strings = Field(description="Names of tools, `*` standing for any part: `awx_*`.")
    title: str | None = Field(default=None, description="Its title for people.")
    instructions: str | None = Field(default=None, description="What a model is told about it.")
    environment: str | None = Field(
        default=None, description="The environment its tools use, which then is no argument of theirs."
    )
    read_only: bool = Field(default=False, description="Serve only those that do not write, whatever `writes` says.")
    budget: BudgetSettings = BudgetSettings()


class LogSettings(Section):
    """`[log]`: what is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level written.")
    format: Literal["auto", "text", "json"] = Field(
        default="auto", description="Lines for people or JSON; `auto`: JSON where standard error is no terminal."
    )
    calls: bool = Field(default=True, description="Write a line for each call, without its arguments.")


class AuditSettings(Section):
    """`[audit]`: the audit log, one JSON line for each call; none without a file."""

    file: Path | None = Field(default=None, description="The file of the log, which only its owner may read.")
    on_failure: Literal["open", "closed"] = Field(
        default="open", description="When it cannot be written: calls go on, or those that write are refused."
    )


class TelemetrySettings(Section):
    """`[telemetry]`: where traces go."""

    otlp_endpoint: str | None = Field(
        default=None, description="OTLP/HTTP collector, like `http://localhost:4318`; needs `pegboard[otel]`."
    )
    service_name: str = Field(default="pegboard", description="The service's name in traces.")
    sample: float = Field(
        default=1, ge=0, le=1, description="Share of traces that are sent, where the caller has not decided."
    )


class HubSettings(Section):
    """Everything the hub can be told; `plugins` holds one table for each plugin, checked when it is loaded."""

    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    oauth: OAuthSettings = OAuthSettings()
    limits: LimitSettings = LimitSettings()
    calls: CallSettings = CallSettings()
    results: ResultSettings = ResultSettings()
    pools: PoolSettings = PoolSettings()
    loading: LoadingSettings = LoadingSettings()
    trust: TrustSettings = TrustSettings()
    budget: BudgetSettings = BudgetSettings()
    endpoints: dict[str, EndpointSettings] = Field(default_factory=dict, description="One table per endpoint.")
    log: LogSettings = LogSettings()
    audit: AuditSettings = AuditSettings()
    metrics: MetricsSettings = MetricsSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    keys: dict[str, KeySettings] = Field(default_factory=dict, description="One table per key.")
    tenants: dict[str, TenantSettings] = Field(default_factory=dict, description="One table per tenant.")
    plugins: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="One table for each plugin.", repr=False
    )


def sections() -> dict[str, type[BaseModel]]:
    """The models of the hub's own sections by name; those of `[plugins.NAME]` come with the plugins."""
    fields = HubSettings.model_fields.items()
    return {name: cast(type[BaseModel], field.annotation) for name, field in fields if name not in TABLES}
