"""Vectors of texts: a model that is loaded by the first search that needs it, in a thread, never at import or start."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from threading import Lock
from typing import Any

from anyio import to_thread

from pegboard import PoolKind, ToolError

EXTRA = "pip install 'pegboard-qdrant[fastembed]'"


@dataclass(frozen=True, slots=True)
class Model:
    """A model of fastembed: the key of an embedder. Without `download` it must be in the folder already."""

    name: str
    folder: str | None = None
    download: bool = True

    def __str__(self) -> str:
        return self.name


class Embedder:
    """Makes vectors of texts, one at a time."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._loaded: Any = None
        self._mutex = Lock()

    @property
    def is_loaded(self) -> bool:
        """Whether the next vector comes at once."""
        return self._loaded is not None

    async def vector(self, text: str) -> list[float]:
        """The vector of a query; a load that outlives its call goes on, for the next one."""
        return await to_thread.run_sync(self._vector, text, abandon_on_cancel=True)

    def _vector(self, text: str) -> list[float]:
        with self._mutex:
            if self._loaded is None:
                self._loaded = _load(self._model)
            (vector,) = self._loaded.query_embed(text)
            return [float(number) for number in vector]


def _load(model: Model) -> Any:
    try:
        fastembed: Any = import_module("fastembed")  # an extra
    except ImportError as error:
        raise ToolError(f"no vector can be made of query_text: fastembed is not installed; {EXTRA}") from error
    try:
        return fastembed.TextEmbedding(model.name, cache_dir=model.folder, local_files_only=not model.download)
    except (ValueError, OSError, RuntimeError) as error:
        raise ToolError(
            f"the model {model.name!r} cannot be loaded ({type(error).__name__}); see that fastembed knows it, and "
            f"that it is in embedding_folder or may be downloaded"
        ) from error


@asynccontextmanager
async def _open(model: Model) -> AsyncGenerator[Embedder]:
    yield Embedder(model)


EMBEDDER: PoolKind[Embedder] = PoolKind("qdrant-embedder", _open, str)
"""Embedders by `Model`; opening one loads nothing."""
