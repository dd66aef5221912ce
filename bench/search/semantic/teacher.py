# pyright: basic, reportMissingImports=false
# numpy and tokenizers live in the training's own environment, see train.py.
"""The teacher: all-MiniLM-L6-v2, run from its weights with numpy alone."""

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

HEADS = 12
LAYERS = 6
LONGEST = 32
"""Wordpieces of a text that count; what a tool does stands at its beginning."""
BATCH_TOKENS = 4096


class Teacher:
    """Sentence embeddings as sentence-transformers computes them: mean of the last layer, length one."""

    def __init__(self, model: Path) -> None:
        self.weights = dict(_tensors(model / "model.safetensors"))
        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LONGEST)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """One row for each text. Texts of equal length share a batch, so nothing is ever padded."""
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        rows = np.empty((len(texts), 384), dtype=np.float32)
        for batch in _batches(ids):
            rows[batch] = self._forward(np.array([ids[i] for i in batch]))
        return rows

    def pieces(self) -> list[str]:
        """The words the model knows as one piece, the most frequent first."""
        ordered = sorted(self.tokenizer.get_vocab().items(), key=lambda item: item[1])
        return [piece for piece, _ in ordered if piece.isascii() and piece.isalpha()]

    def _forward(self, ids: np.ndarray) -> np.ndarray:
        embedded = self.weights["embeddings.word_embeddings.weight"][ids]
        embedded = embedded + self.weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        hidden = self._norm("embeddings", embedded + self.weights["embeddings.token_type_embeddings.weight"][0])
        for layer in range(LAYERS):
            hidden = self._layer(f"encoder.layer.{layer}", hidden)
        mean = hidden.mean(axis=1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def _layer(self, name: str, hidden: np.ndarray) -> np.ndarray:
        attended = self._linear(f"{name}.attention.output.dense", self._attend(f"{name}.attention.self", hidden))
        hidden = self._norm(f"{name}.attention.output", hidden + attended)
        inner = _gelu(self._linear(f"{name}.intermediate.dense", hidden))
        return self._norm(f"{name}.output", hidden + self._linear(f"{name}.output.dense", inner))

    def _attend(self, name: str, hidden: np.ndarray) -> np.ndarray:
        many, length, width = hidden.shape

        def heads(which: str) -> np.ndarray:
            return self._linear(f"{name}.{which}", hidden).reshape(many, length, HEADS, -1).transpose(0, 2, 1, 3)

        scores = heads("query") @ heads("key").transpose(0, 1, 3, 2) / np.sqrt(np.float32(width // HEADS))
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = weights / weights.sum(axis=-1, keepdims=True) @ heads("value")
        return mixed.transpose(0, 2, 1, 3).reshape(many, length, width)

    def _linear(self, name: str, values: np.ndarray) -> np.ndarray:
        flat = values.reshape(-1, values.shape[-1]) @ self.weights[f"{name}.weight"].T
        return (flat + self.weights[f"{name}.bias"]).reshape(*values.shape[:-1], -1)

    def _norm(self, name: str, values: np.ndarray) -> np.ndarray:
        centred = values - values.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(1e-12))
        return centred / scale * self.weights[f"{name}.LayerNorm.weight"] + self.weights[f"{name}.LayerNorm.bias"]


def _gelu(values: np.ndarray) -> np.ndarray:
    # The tanh form; it differs from the exact one by less than 0.001, far below what 64 dimensions keep.
    inner = np.float32(0.7978845608) * (values + np.float32(0.044715) * values * values * values)
    return values * np.float32(0.5) * (1 + np.tanh(inner))


def _batches(ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    batch: list[int] = []
    for index in sorted(range(len(ids)), key=lambda index: (len(ids[index]), index)):
        length = len(ids[index])
        if batch and (len(ids[batch[0]]) != length or (len(batch) + 1) * length > BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _tensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    for name, tensor in header.items():
        if tensor.get("dtype") == "F32":
            start, end = (8 + size + offset for offset in tensor["data_offsets"])
            yield name, np.frombuffer(content[start:end], dtype="<f4").reshape(tensor["shape"])
