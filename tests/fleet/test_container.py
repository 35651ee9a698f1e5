"""deploy/container: its steps, done, and what they make, run as a container would be."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.process import URL, ServerProcess
from harness.waiting import eventually
from harness.wire import Wire
from images import Workshop, workshop
from tree_wheel import tree_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).resolve().parents[2] / "deploy/container"

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(290)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workshop]:
    mounts = tmp_path / "images"
    mounts.mkdir()
    with workshop(mounts) as made:
        yield made


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def process_1(outside: int) -> int:
    """The child of `unshare`, by the number that it has outside."""

    def children() -> list[str]:
        return Path(f"/proc/{outside}/task/{outside}/children").read_text().split()

    assert eventually(children)
    (child,) = children()
    return int(child)


def test_the_example_runs_as_process_1_of_a_container(place: Workshop, tmp_path: Path) -> None:
    context = tmp_path / "context"
    shutil.copytree(FOLDER, context)
    tree_wheel(context / "wheels")
    image = place.make(FOLDER / "Containerfile", context)
    assert image.ports == ["8000"]
    assert image.stop_signal == "SIGTERM"

    port = free_port()
    here = {"PROWINGEN_BIND": f"127.0.0.1:{port}", "PROWINGEN_WORKERS": "2"}
    assert place.check_health(image, here) == 1, "nobody is there yet"
    server = ServerProcess(place.container(image, here), dict(os.environ))
    try:
        server.wait_for_line(URL)
        first = process_1(server.pid)
        status = Path(f"/proc/{first}/status").read_text()
        assert f"\nUid:\t{image.user.partition(':')[0]}\t" in status
        assert "\nNSpid:\t" in status
        assert status.partition("\nNSpid:\t")[2].splitlines()[0].split()[-1] == "1"
        with Wire(("127.0.0.1", port)) as wire:
            assert wire.ask().text == "Hello from a container\n"
            # A body without a length waits in a file, which has a place although the root has not.
            chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
            wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            wire.send(chunk * 2 + b"0\r\n\r\n")
            assert wire.response("POST").status == 405
        assert place.check_health(image, here) == 0
        os.kill(first, signal.SIGTERM)
        assert server.wait() == 0, server.log
        assert "Traceback" not in server.log
        assert '"POST / HTTP/1.1" 405' in server.log
    finally:
        server.end()
