"""Does what a Containerfile says without a container program: its steps are run by chroot, in an
overlay over this machine's own root, which stands for the base image. So everything is tried but
the base image itself: paths, users, variables, a root that cannot be written, process 1.

All mounts are in a namespace of their own, which ends with the process that holds it.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PATIENCE = 240  # seconds: pip downloads


@dataclass
class Image:
    """What one stage has come to. root: its file system, in the workshop's namespace."""

    root: str
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": _BASE_PATH})
    folder: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    stop_signal: str = ""


class Workshop:
    """Where images are made and run. holder: a process in its namespace of mounts."""

    def __init__(self, holder: int, place: Path) -> None:
        self._enter = ["nsenter", "--target", str(holder), "--mount", "--"]
        self._place = place
        self.run("mount", "-t", "tmpfs", "tmpfs", str(place))

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self._enter, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )
        if check:
            assert done.returncode == 0, f"{shlex.join(words)}: {done.returncode}\n{done.stdout}"
        return done

    # ---- making

    def make(self, containerfile: Path, context: Path) -> Image:
        """The last stage's image."""
        stages: dict[str, Image] = {}
        image = Image("")
        for word, rest in instructions(containerfile.read_text(encoding="utf-8")):
            if word == "FROM":
                _, _, name = rest.partition(" AS ")
                image = stages[name or "last"] = self._base(name or "last")
            elif word == "RUN":
                self._in(image, "sh", "-c", rest)
            elif word == "COPY":
                self._copy(image, rest.split(), stages, context)
            elif word == "ENV":
                for pair in shlex.split(rest):
                    name, _, value = pair.partition("=")
                    image.variables[name] = value.replace("$PATH", image.variables["PATH"])
            elif word == "WORKDIR":
                self.run("mkdir", "-p", f"{image.root}{rest}")
                image.folder = rest
            elif word == "USER":
                image.user = rest
            elif word == "CMD":
                image.command = json.loads(rest)
            elif word == "HEALTHCHECK":
                image.health = json.loads(rest.partition(" CMD ")[2])
            elif word == "EXPOSE":
                image.ports += rest.split()
            elif word == "STOPSIGNAL":
                image.stop_signal = rest
            else:
                assert word == "ARG", f"nobody here knows {word}"
        return stages["last"]

    def _base(self, name: str) -> Image:
        """This machine, with its Python as `python`, which may be in a folder that is root's."""
        upper, work, root = (f"{self._place}/{name}-{part}" for part in ("upper", "work", "root"))
        self.run("mkdir", upper, work, root)
        layers = f"lowerdir=/,upperdir={upper},workdir={work}"
        mounted = self.run("mount", "-t", "overlay", "overlay", "-o", layers, root, check=False)
        if mounted.returncode:
            pytest.skip(f"no overlay of this machine's root: {mounted.stdout.strip()}")
        self.run("mount", "--bind", "/dev", f"{root}/dev")
        self.run("mount", "-t", "proc", "proc", f"{root}/proc")
        base = Path(sys.base_prefix, "bin", f"python3.{sys.version_info[1]}").resolve()
        # Not a link, by whose place the interpreter would look for its library.
        script = f'printf \'#!/bin/sh\\nexec {base} "$@"\\n\' >"$0" && chmod 755 "$0"'
        self.run("sh", "-c", script, f"{root}/usr/local/bin/python")
        for folder in base.parents:
            self.run("chmod", "go+x", f"{root}{folder}")
        return Image(root)

    def _copy(
        self, image: Image, words: list[str], stages: dict[str, Image], context: Path
    ) -> None:
        source = str(context)
        if words[0].startswith("--from="):
            source = stages[words.pop(0).partition("=")[2]].root
        *names, to = words
        place = to if to.startswith("/") else f"{image.folder}/{to}"
        for name in names:
            path = f"{source}/{name.lstrip('/')}"
            is_folder = self.run("test", "-d", path, check=False).returncode == 0
            into = f"{image.root}{place}"
            self.run(
                "mkdir", "-p", into if is_folder or to.endswith("/") else str(Path(into).parent)
            )
            # Of a folder, what is in it.
            self.run(
                "cp", "-a", "--no-preserve=ownership", f"{path}/." if is_folder else path, into
            )

    def _in(self, image: Image, *words: str) -> str:
        return self.run("chroot", image.root, *_env(image), *words).stdout

    # ---- running

    def container(self, image: Image, variables: dict[str, str]) -> list[str]:
        """What runs it: `unshare`, whose child is process 1, with a root that it cannot write."""
        prepare = (
            'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"'
            ' && mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev"'
            ' && mount -t tmpfs -o mode=1777 tmpfs "$0/tmp"'
            ' && exec chroot --userspec="$1" --groups= "$0" "${@:2}"'
        )
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        words = [*_env(image, variables), *image.command]
        return [*self._enter, *alone, "bash", "-c", prepare, image.root, image.user, *words]

    def check_health(self, image: Image, variables: dict[str, str]) -> int:
        """As whoever runs it does, beside process 1."""
        user = f"--userspec={image.user}"
        words = [*_env(image, variables), *image.health]
        return self.run("chroot", user, "--groups=", image.root, *words, check=False).returncode


def _env(image: Image, more: dict[str, str] | None = None) -> list[str]:
    variables = {**image.variables, **(more or {})}
    pairs = [f"{name}={value}" for name, value in variables.items()]
    return ["env", "-i", f"--chdir={image.folder}", *pairs]


def instructions(text: str) -> list[tuple[str, str]]:
    """Those of a Containerfile, each with what follows it."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    found = [line.partition(" ") for line in whole.splitlines()]
    return [(word, " ".join(rest.split())) for word, _, rest in found]


@contextmanager
def workshop(place: Path) -> Iterator[Workshop]:
    """One that is removed with all that is in it; skips the test where there can be none."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount and to chroot")
    hold = ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo held; exec cat"]
    with subprocess.Popen(
        hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stderr is not None
        try:
            if holder.stdout.readline() != "held\n":
                pytest.skip(f"no namespace of mounts: {holder.stderr.read().strip()}")
            yield Workshop(holder.pid, place)
        finally:
            holder.kill()
