"""Distributions made of a temporary folder: what `pip install` would have left there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

PLUGINS = Path(__file__).parent / "plugins"


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution on a folder of its own, to be put on `PYTHONPATH`."""

    name: str
    folder: Path


def install(
    folder: Path, name: str, modules: Mapping[str, str], entry_points: Mapping[str, str], *, version: str = "1.0"
) -> Installed:
    """Write a distribution with `modules` (name to source) and `entry_points` (plugin to object)."""
    site = folder / name
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    for module, source in modules.items():
        (site / f"{module}.py").write_text(dedent(source))
    points = "\n".join(f"{plugin} = {target}" for plugin, target in entry_points.items())
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[pegboard]\n{points}\n")
    return Installed(name, site)


def install_probe(folder: Path) -> Installed:
    """The plugin `probe`: calls one can hold, watch and count."""
    return install(folder, "pegprobe", {"pegprobe": (PLUGINS / "pegprobe.py").read_text()}, {"probe": "pegprobe:Probe"})


def install_conformance(folder: Path) -> Installed:
    """The plugin `conformance`: what the official suite expects of a server."""
    source = (PLUGINS / "pegconformance.py").read_text()
    return install(folder, "pegconformance", {"pegconformance": source}, {"conformance": "pegconformance"})
