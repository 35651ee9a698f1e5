"""HTTP/3 by several processes on one UDP port: whose connection it is gets a datagram, and a reload
loses no request."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import signal
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.certificates import server_files
from harness.h3client import Answer, h3_client, relay
from harness.h3serve import HTTP3_ONLY
from harness.process import run_server
from harness.waiting import eventually
from test_supervisor import APP, children, ready, supervised, wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from harness.process import ServerProcess

pytestmark = [
    *HTTP3_ONLY,
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(), reason="only Linux has several of them on a port"
    ),
]

TLS = tuple(
    word for name, path in vars(server_files()).items() for word in (f"--{name}", str(path))
)
HTTP3 = ("--http3", *TLS)


@contextmanager
def workers3(engine: str, *arguments: str, **options: Any) -> Iterator[ServerProcess]:
    with supervised(engine, *HTTP3, *arguments, **options) as server:
        yield server


def with_clients(use: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(use(), 60))


async def ask_once(server: ServerProcess, path: str = "/") -> Answer:
    async with h3_client(server) as client:
        return await client.ask(path)


def who(answer: Answer) -> int:
    assert answer.status == 200
    return int(answer.body)


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["forked", "preloaded"])
def test_workers_share_the_connections(engine: str, preload: tuple[str, ...]) -> None:
    async def use() -> Any:
        return await asyncio.gather(*(ask_once(server) for _ in range(20)))

    with workers3(engine, "--io-threads", "2", *preload) as server:
        pids = {who(answer) for answer in with_clients(use)}
        assert len(pids) == 2, "by chance, once in half a million"


def test_a_connection_stays_where_it_is_wherever_its_client_goes(engine: str) -> None:
    with workers3(engine, "--io-threads", "2") as server, relay(server) as between:

        async def use() -> Any:
            async with h3_client(server, port=between.port) as client:
                pids = set()
                for _ in range(8):
                    pids.add(who(await client.ask()))
                    between.move()
                return pids

        assert len(with_clients(use)) == 1


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["forked", "preloaded"])
def test_a_reload_loses_no_request(engine: str, preload: tuple[str, ...]) -> None:
    """Of clients that come all the time, nor one that has begun before."""
    over = asyncio.Event()
    pids: list[int] = []

    async def keep_coming(server: ServerProcess) -> None:
        while not over.is_set():
            pids.append(who(await ask_once(server)))

    async def use() -> Any:
        over.clear()
        coming = [asyncio.create_task(keep_coming(server)) for _ in range(4)]
        try:
            for reload in (1, 2):
                slow = asyncio.create_task(ask_once(server, "/slow"))
                await asyncio.sleep(0.1)
                server.signal(signal.SIGHUP)
                while ready(server) < 2 + 2 * reload:
                    await asyncio.sleep(0.02)
                who(await slow)
                seen = len(pids)
                while len(pids) < seen + 10:
                    await asyncio.sleep(0.02)
        finally:
            over.set()
            await asyncio.gather(*coming)

    with workers3(engine, *preload) as server:
        with_clients(use)
        wait_until(lambda: len(children(server.pid)) == (1 if preload else 2), "old ones stay")
        assert len(set(pids)) >= 4, "each generation had some"


def test_a_recycled_worker_loses_no_request(engine: str) -> None:
    async def use() -> Any:
        async def keep_coming() -> set[int]:
            return {who(await ask_once(server)) for _ in range(16)}

        return set.union(*await asyncio.gather(*(keep_coming() for _ in range(3))))

    with workers3(engine, "--max-requests", "8") as server:
        assert len(with_clients(use)) > 2
        wait_until(lambda: len(children(server.pid)) == 2, "old workers stay")


def test_a_worker_that_dies_leaves_the_port_to_the_others(engine: str) -> None:
    async def use() -> Any:
        async with h3_client(server) as client:
            victim = who(await client.ask())
            os.kill(victim, signal.SIGKILL)
            await asyncio.to_thread(wait_until, lambda: ready(server) >= 3, server.log)
            answers = await asyncio.gather(*(ask_once(server) for _ in range(12)))
            client.close()
        return victim, {who(answer) for answer in answers}

    with workers3(engine) as server:
        victim, pids = with_clients(use)
        assert pids == set(children(server.pid))
        assert victim not in pids


def test_fewer_and_more_workers_share_it(engine: str) -> None:
    async def use() -> Any:
        return {who(each) for each in await asyncio.gather(*(ask_once(server) for _ in range(20)))}

    with workers3(engine) as server:
        server.signal(signal.SIGTTOU)
        wait_until(lambda: len(children(server.pid)) == 1, "no fewer")
        assert with_clients(use) == set(children(server.pid))
        for more in (3, 4):
            server.signal(signal.SIGTTIN)
            wait_until(lambda now=more: ready(server) == now, "no more")  # type: ignore[misc]
        assert with_clients(use) == set(children(server.pid))


def udp_owners(port: int) -> list[int]:
    """User ids of the sockets on a port."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return [int(line.split()[7]) for line in lines if line.split()[1].endswith(f":{port:04X}")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("workers", ["0", "2"])
def test_ports_are_opened_before_root_is_given_up(engine: str, workers: str) -> None:
    files = server_files()
    nobody = pwd.getpwnam("nobody").pw_uid
    Path(files.certfile).parent.chmod(0o755)
    os.chown(files.keyfile, nobody, -1)
    os.chown(files.certfile, nobody, -1)
    with run_server(APP, engine, *HTTP3, "--user", "nobody", "--workers", workers) as server:
        answer = with_clients(lambda: ask_once(server))
        assert re.search(
            r"^Uid:\s+(?!0\s)", Path(f"/proc/{who(answer)}/status").read_text(), re.MULTILINE
        )
        assert set(udp_owners(server.port)) == {0}


def test_the_ports_are_free_afterwards(engine: str) -> None:
    with workers3(engine) as server:
        assert udp_owners(server.port)
    assert eventually(lambda: udp_owners(server.port) == [])


def test_a_port_that_is_taken_is_said_at_the_start(engine: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        with socket.socket() as free:  # the same number of TCP has to be
            free.bind(("127.0.0.1", 0))
            taken.bind(free.getsockname())
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with run_server(APP, engine, *HTTP3, "--workers", "1", "--bind", place) as server:
            assert server.wait() == 1
            assert f"http3: cannot open the UDP port of http://{place}: address" in server.log
