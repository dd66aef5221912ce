"""Containers where no registry can be asked: a base of this machine's files, built on by buildah, run by podman."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.programs import ROOT, missing, output_of

PACKAGES = ("bash", "coreutils", "dash", "findutils", "grep", "libc6", "libc-bin", "libgcc-s1", "mawk", "sed")
"""What the lines of a Dockerfile may count on."""

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
CONFIGURED = ("HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "UV_DEFAULT_INDEX")
"""How this machine reaches PyPI, and so how a build does."""

PYTHON = "{}.{}-slim".format(*sys.version_info)
"""The tag of the base: that of the image whose place it takes."""

CONFINED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges")

# No systemd runs where the tests do: nobody asks for health but the tests, and the limits are those there are.
HERE = ("--network=host", "--health-interval=disable", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")


@dataclass(frozen=True, slots=True)
class Engine:
    """Images and containers in a folder of their own."""

    folder: Path

    def build(self, dockerfile: Path, tag: str, arguments: Mapping[str, str]) -> None:
        """Run a Dockerfile on the base, with what uv keeps of earlier builds."""
        kept = Path(output_of(*_uv(), "cache", "dir").strip())
        kept.mkdir(parents=True, exist_ok=True)
        given = [f"--build-arg={name}={value}" for name, value in {"PYTHON": PYTHON, **arguments}.items()]
        ways = ["--isolation=chroot", "--network=host", "--pull=never", "--format=docker"]
        volume = f"--volume={kept}:/root/.cache/uv"
        output_of(*self._with("buildah"), "bud", *ways, *given, volume, "-f", dockerfile, "-t", tag, ROOT)

    def make_base(self) -> None:
        """Commit an image called as the one of Docker's library is."""
        root = self.folder / "base"
        write_base(root)
        buildah = self._with("buildah")
        container = output_of(*buildah, "from", "scratch").strip()
        output_of(*buildah, "copy", "-q", container, root, "/")
        environ = {name: os.environ[name] for name in CONFIGURED if name in os.environ}
        path = f"/usr/local/bin:{sys.base_prefix}/bin:/usr/bin"
        environ |= {"PATH": path, "SSL_CERT_FILE": CERTIFICATES, "PIP_CERT": CERTIFICATES}
        given = [f"--env={name}={value}" for name, value in environ.items()]
        output_of(*buildah, "config", *given, container)
        output_of(*buildah, "commit", "-q", "--rm", container, f"docker.io/library/python:{PYTHON}")

    def podman(self, *command: str) -> list[str]:
        return [*self._with("podman"), "--cgroup-manager=cgroupfs", "--runtime=runc", *command]

    def said(self, *command: str) -> str:
        """What podman writes."""
        return output_of(*self.podman(*command))

    def run(self, *options: str) -> list[str]:
        """The command of a container that may write nothing but its volumes, and has no capability."""
        return self.podman("run", "--rm", *CONFINED, *HERE, *options)

    def _with(self, program: str) -> list[str]:
        found = shutil.which(program)
        if found is None or shutil.which("runc") is None:
            missing(f"{program} is missing; apt-get install buildah podman runc brings it")
        return [
            found,
            f"--root={self.folder}/images",
            f"--runroot={self.folder}/run",
            f"--storage-driver={self.driver}",
        ]

    @property
    def driver(self) -> str:
        """Layers over layers, where the kernel can lay them."""
        below = output_of("stat", "--file-system", "--format=%T", self.folder)
        return "vfs" if "overlay" in below else "overlay"


@contextmanager
def engine(folder: Path) -> Generator[Engine]:
    """An engine with the base image, in memory; nothing of it is mounted afterwards."""
    if os.geteuid() != 0:
        missing("only root can build and run containers here")
    output_of("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    made = Engine(folder)
    try:
        made.make_base()
        yield made
    finally:
        subprocess.run(made.podman("rm", "--all", "--force"), capture_output=True, timeout=60, check=False)
        output_of("umount", "--recursive", folder)


def write_base(root: Path) -> None:
    """A root with a shell, its programs, and Python with pip, which are all this machine's own."""
    for name in (
        "etc",
        "proc",
        "root",
        "sys",
        "dev",
        "tmp",
        "usr/bin",
        "usr/sbin",
        "usr/lib",
        "usr/lib64",
        "usr/local/bin",
    ):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "tmp").chmod(0o1777)
    programs = [file for file in _files_of(PACKAGES) if re.search(r"/s?bin/|-gnu/[^/]+\.so", file)]
    python = Path(sys.executable).resolve()
    stdlib = Path(sysconfig.get_path("stdlib"))
    for file in (*programs, str(python), CERTIFICATES):
        _copy(Path(file), root)
    ignored = shutil.ignore_patterns(
        "site-packages", "test", "tests", "idlelib", "config-*", "__pycache__", "EXTERNALLY-MANAGED"
    )
    shutil.copytree(stdlib, root / stdlib.relative_to("/"), ignore=ignored, symlinks=True)
    for library in _libraries_of([*programs, python, *stdlib.glob("lib-dynload/*.so")]):
        _copy(Path(library), root)
    for name in ("python", "python3"):
        (root / "usr/local/bin" / name).symlink_to(python)
    output_of("chroot", root, python, "-m", "ensurepip", "--default-pip")


def _files_of(packages: Iterable[str]) -> list[str]:
    return output_of("dpkg", "-L", *packages).splitlines()


def _libraries_of(programs: Sequence[str | Path]) -> set[str]:
    done = subprocess.run(["ldd", *programs], capture_output=True, timeout=60, check=False, text=True)
    words = (line.split() for line in done.stdout.splitlines())
    return {word for line in words for word in line if word.startswith("/") and not word.endswith(":")}


def _copy(file: Path, root: Path) -> None:
    """To the same place, in a root where `/bin` is `/usr/bin`."""
    if not file.is_file():
        return
    place = root / file.relative_to("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        shutil.copy2(file, place)


def _uv() -> list[str]:
    found = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".uv" / "bin"))
    return [found] if found else [sys.executable, "-m", "uv"]
