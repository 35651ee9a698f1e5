"""HTTP/2 with the clients of other languages' own libraries: Go's, Node's and Java's, over TLS.

Each is a small program of http2_clients/ that plays one scenario and prints what became of it.
Without TLS Java's asks for `Upgrade: h2c`.
"""

from __future__ import annotations

import functools
import importlib
import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness.certificates import authority_file, server_files
from harness.process import run_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.process import ServerProcess
    from harness.site import ServeFixture, Site

PROGRAMS = Path(__file__).parent / "http2_clients"
TIME_LIMIT = 60
RELOADS = 3

over_http2: Any = importlib.import_module("apps.over_http2")

pytestmark = [
    pytest.mark.no_tls("it speaks TLS by itself"),
    pytest.mark.no_http2("it speaks HTTP/2 by itself"),
    pytest.mark.timeout(2 * TIME_LIMIT),
]


def needed(program: str, package: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: {package} has it")
    return found


def _node(folder: Path) -> list[str]:
    return [needed("node", "nodejs"), str(PROGRAMS / "client.mjs")]


def _go(folder: Path) -> list[str]:
    compiler = needed("go", "golang")
    built = folder / "client"
    command = [compiler, "build", "-o", str(built), str(PROGRAMS / "client.go")]
    environment = {"PATH": str(Path(compiler).parent), "GO111MODULE": "off", "HOME": str(folder)}
    subprocess.run(command, check=True, env=environment, timeout=TIME_LIMIT)
    return [str(built)]


def _java(folder: Path) -> list[str]:
    machine = needed("java", "default-jdk-headless")
    compiler = needed("javac", "default-jdk-headless")
    command = [compiler, "-d", str(folder), str(PROGRAMS / "Client.java")]
    subprocess.run(command, check=True, timeout=TIME_LIMIT)
    return [machine, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", str(folder), "Client"]


BUILDERS = {"Go": _go, "Java": _java, "Node": _node}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """How a language's client is started, which is built the first time."""
    return functools.cache(lambda name: BUILDERS[name](tmp_path_factory.mktemp(name)))


@pytest.fixture(params=BUILDERS)
def client(
    request: pytest.FixtureRequest, program: Callable[[str], list[str]]
) -> tuple[str, list[str]]:
    """Its name, and how it is started."""
    return request.param, program(request.param)


@pytest.fixture
def site(serve: ServeFixture) -> Site:
    return serve(over_http2.app, **vars(server_files()))


def start(command: list[str], url: str, scenario: str) -> subprocess.Popen[str]:
    words = [*command, url.replace("127.0.0.1", "localhost"), authority_file(), scenario]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def end(process: subprocess.Popen[str]) -> Any:
    """What it says, once it has been told that nothing more is wanted."""
    try:
        said, complaint = process.communicate(timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, complaint
    return json.loads(said)


def play(client: tuple[str, list[str]], site: Site, scenario: str) -> Any:
    return end(start(client[1], site.url, scenario))


def test_many_requests_at_once(client: tuple[str, list[str]], site: Site) -> None:
    said = [answer.split() for answer in play(client, site, "parallel")]
    # Java's client fails what is beyond the streams that it may have, where others wait.
    assert len(said) == (100 if client[0] == "Java" else 200)
    assert {protocol for protocol, _ in said} == {"HTTP/2.0"}


def test_ten_mebibytes_come_back(client: tuple[str, list[str]], site: Site) -> None:
    assert play(client, site, "echo") is True


def test_trailers_go_both_ways(client: tuple[str, list[str]], site: Site) -> None:
    if client[0] == "Java":
        pytest.skip("java.net.http knows no trailers")
    body, trailers = play(client, site, "trailers")
    assert body == "body"
    assert {name.lower(): value for name, value in trailers.items()} == {
        "x-checksum": "1",
        "etag": "a",
    }


def test_early_hints_come_before_the_answer(client: tuple[str, list[str]], site: Site) -> None:
    status, links = play(client, site, "hints")
    assert status == 200
    # Java's client passes over them.
    assert links == ([] if client[0] == "Java" else ["</style.css>; rel=preload"])


def test_answer_that_is_cancelled_ends_alone(client: tuple[str, list[str]], site: Site) -> None:
    over_http2.ENDLESS_ENDED.clear()
    assert play(client, site, "cancel") == 200
    assert over_http2.ENDLESS_ENDED.wait(10), "the application goes on"


@pytest.mark.parametrize("scenario", ["parallel", "echo"])
def test_what_asks_for_an_upgrade_is_answered_by_http1(
    serve: ServeFixture, program: Callable[[str], list[str]], scenario: str
) -> None:
    said = end(start(program("Java"), serve(over_http2.app).url, scenario))
    if scenario == "parallel":
        assert {answer.split()[0] for answer in said} == {"HTTP/1.1"}
    else:
        assert said is True


def generations(server: ServerProcess) -> int:
    return server.log.count(" is ready")


def test_reloads_lose_no_request(client: tuple[str, list[str]], engine: str) -> None:
    if client[0] == "Java":
        pytest.skip("before 17.0.17 and 24 it drops what runs at any GOAWAY (JDK-8335181)")
    files = server_files()
    words = ["--certfile", files.certfile, "--keyfile", files.keyfile, "--workers", "2"]
    with run_server("apps.over_http2:app", engine, *words) as server:
        assert eventually(lambda: generations(server) >= 2, TIME_LIMIT), server.log
        load = start(client[1], server.url, "load")
        try:
            for reload in range(1, RELOADS + 1):
                server.signal(signal.SIGHUP)
                goal = 2 + 2 * reload
                assert eventually(lambda goal=goal: generations(server) >= goal, TIME_LIMIT), (  # type: ignore[misc]
                    server.log
                )
        finally:
            said = end(load)
    assert said["failed"] == []
    assert said["answered"] > RELOADS
