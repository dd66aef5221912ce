"""The settings of the plugin, `[plugins.qdrant]`."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from pegboard import PluginSettings
from pegboard_qdrant.target import DEFAULT_GRPC_PORT, MEMORY, Target

EXAMPLE = "http://localhost:6333"


def _check_url(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        url, usable = urlsplit(""), False
    if not usable:
        raise ValueError(f"must be a URL like {EXAMPLE}")
    if url.username is not None or url.query or url.fragment:
        raise ValueError("must have no user, query or fragment; the key belongs into api_key")
    return text


def _check_key(key: SecretStr | None) -> SecretStr | None:
    text = "x" if key is None else key.get_secret_value()
    if not (text.isascii() and text.isprintable() and text.strip() == text != ""):
        raise ValueError("must be printable ASCII without spaces around it, since it is sent as a header")
    return key


class Settings(PluginSettings):
    """Which Qdrant the tools use, how long a request may take, and what makes vectors of texts."""

    url: Annotated[str | None, AfterValidator(_check_url)] = Field(
        default=None, description=f"A Qdrant server: {EXAMPLE}. Give one of url, path and memory."
    )
    path: str | None = Field(
        default=None, min_length=1, description="A folder for the embedded engine; this process alone can use it."
    )
    memory: bool = Field(default=False, description="An embedded engine in memory, empty at every start.")
    api_key: Annotated[SecretStr | None, AfterValidator(_check_key)] = Field(
        default=None, description="The server's API key; a read-only one is enough for everything but writing."
    )
    timeout: float = Field(default=10.0, gt=0, le=3600, description="Seconds a request to Qdrant may take.")
    max_connections: int = Field(default=10, ge=1, le=100, description="Requests to Qdrant at the same time.")
    prefer_grpc: bool = Field(default=False, description="Talk gRPC to the server where that is possible.")
    grpc_port: int = Field(default=DEFAULT_GRPC_PORT, ge=1, le=65_535, description="The server's port for gRPC.")
    embedder: Literal["fastembed", "server"] | None = Field(
        default=None,
        description="Who makes a vector of query_text: `fastembed` (in this process, needs "
        "pegboard-qdrant[fastembed]) or the `server` (Qdrant's own inference). Unset: text search by words only.",
    )
    embedding_model: str | None = Field(
        default=None, min_length=1, description="The model the vectors were made with: BAAI/bge-small-en-v1.5."
    )
    embedding_folder: str | None = Field(
        default=None, min_length=1, description="Where fastembed keeps its models; default: its own cache."
    )
    embedding_download: bool = Field(
        default=True, description="Let the first search that needs the model fetch it; false: it must be there."
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        given = [name for name in ("url", "path", "memory") if getattr(self, name)]
        if len(given) != 1:
            what = f"{' and '.join(given)} cannot stand together" if given else "no Qdrant is named"
            raise ValueError(f'{what}; give exactly one of url = "{EXAMPLE}", path = "/a/folder" and memory = true')
        if (self.embedder is None) != (self.embedding_model is None):
            raise ValueError("embedder and embedding_model belong together; give both or none")
        if self.url is None and (self.api_key or self.prefer_grpc or self.embedder == "server"):
            raise ValueError('api_key, prefer_grpc and embedder = "server" need a server; give its url')
        return self

    @property
    def target(self) -> Target:
        """The key of the pool these settings describe."""
        return Target(
            location=self.url or self.path or MEMORY,
            api_key=self.api_key.get_secret_value() if self.api_key else None,
            timeout=self.timeout,
            max_connections=self.max_connections,
            prefer_grpc=self.prefer_grpc,
            grpc_port=self.grpc_port,
            server_inference=self.embedder == "server",
        )
