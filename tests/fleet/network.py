"""Machines on one wire, made of network namespaces: each has an address of its own and a link that
can be cut, and none of them touches the network of the machine that the tests run on.

The wire is a bridge in a namespace too. What a run that was killed has left behind, the next one
removes: namespaces are named after the process that made them.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "prowingen"
_SWITCH = "switch"
_runs = itertools.count(1)


class Network:
    """tag: what its namespaces have in front of their names."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._made: list[str] = []
        self._add(_SWITCH)
        self._ip("-n", self._name(_SWITCH), "link", "add", "br0", "type", "bridge")
        self._ip("-n", self._name(_SWITCH), "link", "set", "br0", "up")

    def machine(self, name: str, address: str) -> None:
        """One more. name: at most 13 letters; address: in 10.0.0.0/24."""
        self._add(name)
        switch, own = self._name(_SWITCH), self._name(name)
        self._ip(
            *("-n", switch, "link", "add", name, "type", "veth"),
            *("peer", "name", "eth0", "netns", own),
        )
        self._ip("-n", switch, "link", "set", name, "master", "br0", "up")
        self._ip("-n", own, "address", "add", f"{address}/24", "dev", "eth0")
        self._ip("-n", own, "link", "set", "eth0", "up")

    def cut(self, name: str) -> None:
        """As if somebody pulled the plug: nobody is told, packets are lost."""
        self._ip("-n", self._name(_SWITCH), "link", "set", name, "down")

    def mend(self, name: str) -> None:
        self._ip("-n", self._name(_SWITCH), "link", "set", name, "up")

    def command(self, name: str, *words: str) -> list[str]:
        """One that runs these on that machine. Its process is that of the words."""
        return [_program(), "netns", "exec", self._name(name), *words]

    def remove(self) -> None:
        for name in reversed(self._made):
            self._ip("netns", "delete", name)
        self._made.clear()

    def _name(self, machine: str) -> str:
        return f"{self._tag}-{machine}"

    def _add(self, machine: str) -> None:
        name = self._name(machine)
        self._ip("netns", "add", name)
        self._made.append(name)
        self._ip("-n", name, "link", "set", "lo", "up")

    @staticmethod
    def _ip(*words: str) -> None:
        done = subprocess.run([_program(), *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _program() -> str:
    found = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip("ip is missing (Debian: iproute2)")
    return found


@contextmanager
def network() -> Iterator[Network]:
    """An empty one; skips the test where none can be made."""
    _remove_leftovers()
    try:
        made = Network(f"{_PREFIX}-{os.getpid()}-{next(_runs)}")
    except OSError as error:
        _remove_leftovers(of_this_process=True)
        pytest.skip(f"no network namespaces here: {error}")
    try:
        yield made
    finally:
        made.remove()


def _remove_leftovers(*, of_this_process: bool = False) -> None:
    for path in Path("/run/netns").glob(f"{_PREFIX}-*-*"):
        found = re.match(rf"{_PREFIX}-(\d+)-", path.name)
        if found is None:
            continue
        own = int(found[1]) == os.getpid()
        if own if of_this_process else not (own or Path(f"/proc/{found[1]}").exists()):
            Network._ip("netns", "delete", path.name)
