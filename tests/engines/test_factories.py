"""A server is chosen by name: the variable, the entry points, the built-in one, real requests."""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import zipfile
from contextlib import ExitStack, suppress
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import prowingen_wsgi
import pytest
from prowingen_wsgi.configuration.config import Config, ConfigError
from prowingen_wsgi.factories.selection import (
    LISTENS_ON_DESCRIPTORS,
    VARIABLE,
    FactoryNotFoundError,
    HostAddress,
    ServerFactory,
    Started,
    find_factory,
    parse_url,
)
from prowingen_wsgi.factories.wsgi import WsgiFactory
from prowingen_wsgi.listeners import open_listeners
from prowingen_wsgi.server import Server

from harness import proxyhead
from harness.apps import Echo, answering, hello
from harness.certificates import client_context, server_files
from harness.site import address_of
from harness.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = "http://127.0.0.1:0"


def ask(started: Started, target: str = "/", at: int = 0) -> Any:
    with Wire(address_of(started.addresses[at])) as wire:
        return wire.ask(target, "Connection: close")


def seen(started: Started, target: str, at: int = 0) -> tuple[str, str]:
    environ = json.loads(ask(started, target, at).body)["environ"]
    return environ["SCRIPT_NAME"], environ["PATH_INFO"]


# ---- the built-in one


def test_application_is_served_until_the_block_ends(engine: str) -> None:
    with prowingen_wsgi.start(hello, LOCAL, engine=engine, threads=2) as started:
        assert ask(started).body == b"hello"
        assert started.capabilities["wsgi.version"] == "1.0"
        assert started.capabilities["prowingen.engine"] == engine
    with pytest.raises(ConnectionRefusedError):
        ask(started)


def test_closing_twice_is_harmless(engine: str) -> None:
    started = prowingen_wsgi.start(hello, LOCAL, engine=engine)
    started.close()
    started.close()


def test_paths_are_mounted_under_script_name(engine: str) -> None:
    urls = [f"{LOCAL}/api", f"{LOCAL}/api/v2/"]
    # One place: the same socket serves both.
    with prowingen_wsgi.start(Echo(), *urls, engine=engine) as started:
        assert len(started.addresses) == 1
        assert seen(started, "/api") == ("/api", "")
        assert seen(started, "/api/x/y") == ("/api", "/x/y")
        assert seen(started, "/api/v2/x") == ("/api/v2", "/x")
        assert seen(started, "/api/v22") == ("/api", "/v22")
        for elsewhere in ("/", "/apix", "/ap"):
            response = ask(started, elsewhere)
            assert (response.status, response.get("Content-Type")) == (
                404,
                "text/plain; charset=utf-8",
            )


def test_each_address_has_paths_of_its_own(engine: str, tmp_path: Path) -> None:
    urls = [f"{LOCAL}/a", "http://[::1]:0/b%C3%A9", f"unix:{tmp_path}/socket"]
    with prowingen_wsgi.start(Echo(), *urls, engine=engine) as started:
        assert seen(started, "/a/x", at=0) == ("/a", "/x")
        assert ask(started, "/b%C3%A9", at=0).status == 404
        assert seen(started, "/b%C3%A9/x", at=1) == ("/b\xc3\xa9", "/x")
        assert seen(started, "/x", at=2) == ("", "/x")


@pytest.fixture
def common_port() -> int:
    """A port that is free on two addresses of this machine."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
            with suppress(OSError), socket.create_server(("127.0.0.2", port)):
                return port


@pytest.mark.parametrize("tls", [False, True])
def test_addresses_of_one_port_have_paths_of_their_own(
    engine: str, tls: bool, common_port: int
) -> None:
    options: dict[str, Any] = vars(server_files()) if tls else {}
    scheme, context = ("https", client_context()) if tls else ("http", None)
    urls = [f"{scheme}://127.0.0.{n}:{common_port}/{path}" for n, path in ((1, "a"), (2, "b"))]
    with prowingen_wsgi.start(Echo(), *urls, engine=engine, **options) as started:
        for at, path, other in ((0, "a", "b"), (1, "b", "a")):
            with Wire(address_of(started.addresses[at]), tls=context) as wire:
                assert wire.ask(f"/{other}/x").status == 404
                environ = json.loads(wire.ask(f"/{path}/x", "Connection: close").body)["environ"]
            assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (f"/{path}", "/x")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="IPv6 is needed")
def test_an_address_beside_every_other_of_its_port_has_an_application_of_its_own(
    engine: str,
) -> None:
    with ExitStack() as stack:
        one = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        every = stack.enter_context(
            socket.create_server(("::", one.getsockname()[1]), family=socket.AF_INET6)
        )
        addresses = [f"fd://{each.fileno()}" for each in (one, every)]
        server = Server(
            hello,
            Config(engine=engine),
            listeners=open_listeners(addresses, 16),
            apps=[answering([b"one"]), answering([b"every"])],
        )
        stack.enter_context(server)
        for host, body in (("127.0.0.1", b"one"), ("::1", b"every")):
            with Wire((host, one.getsockname()[1])) as wire:
                assert wire.ask("/", "Connection: close").body == body


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="IPv6 is needed")
def test_a_refused_address_is_named_as_it_was_written(engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on \[::\]:{port}: .* on IPv4 \(with"):
            prowingen_wsgi.start(hello, f"http://[::]:{port}", engine=engine)


def test_a_path_is_mounted_by_the_listener_whatever_port_a_proxy_tells(engine: str) -> None:
    proxy: dict[str, Any] = {"proxy_protocol": True, "proxy_allow_ips": ["127.0.0.1"]}
    urls = [f"{LOCAL}/a", "http://127.0.0.2:0/b"]
    with prowingen_wsgi.start(Echo(), *urls, engine=engine, **proxy) as started:
        for at, path in enumerate("ab"):
            with Wire(address_of(started.addresses[at])) as wire:
                wire.send(proxyhead.v1(at=443))
                environ = proxyhead.environ_of(wire.ask(f"/{path}/x", "Connection: close"))
            assert (environ["SERVER_PORT"], environ["SCRIPT_NAME"]) == ("443", f"/{path}")


@pytest.mark.parametrize(("path", "target"), [("", "/x"), ("/api", "/api/x")])
def test_an_address_may_be_several_sockets(engine: str, path: str, target: str) -> None:
    with prowingen_wsgi.start(Echo(), f"http://*:0{path}", engine=engine) as started:
        assert len(started.addresses) == (2 if socket.has_dualstack_ipv6() else 1)
        for at in range(len(started.addresses)):
            assert seen(started, target, at) == (path, "/x")
            assert ask(started, "/y", at).status == (404 if path else 200)


def test_a_mounted_application_is_found_at_the_port_that_a_proxy_tells(engine: str) -> None:
    proxy: dict[str, Any] = {"proxy_protocol": True, "proxy_allow_ips": ["127.0.0.1"]}
    urls = [f"{LOCAL}/api", "http://127.0.0.2:0/api"]
    with prowingen_wsgi.start(Echo(), *urls, engine=engine, **proxy) as started:
        with Wire(address_of(started.addresses[0])) as wire:
            wire.send(proxyhead.v1(at=443))
            environ = proxyhead.environ_of(wire.ask("/api/x", "Connection: close"))
        assert environ["SERVER_PORT"] == "443"
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/api", "/x")


def test_a_socket_that_listens_already_is_served_on_and_stays_open(engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"fd://{listening.fileno()}"
        for _ in range(2):
            with prowingen_wsgi.start(Echo(), url, engine=engine) as started:
                assert started.capabilities[LISTENS_ON_DESCRIPTORS] == "1.0"
                assert address_of(started.addresses[0]) == listening.getsockname()
                assert seen(started, "/x") == ("", "/x")
        listening.settimeout(5)
        with Wire(listening.getsockname()):
            listening.accept()[0].close()


def test_the_access_log_may_go_to_a_callable(engine: str) -> None:
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    options: dict[str, Any] = {"access_log": lines.put, "access_log_format": "%r %s"}
    with prowingen_wsgi.start(hello, LOCAL, engine=engine, **options) as started:
        ask(started)
        assert lines.get(timeout=5) == "GET / HTTP/1.1 200"


def test_the_access_log_may_go_to_a_path(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with prowingen_wsgi.start(hello, LOCAL, engine=engine, access_log=path) as started:
        ask(started)
    assert "GET / HTTP/1.1" in path.read_text()


def test_a_wrong_option_or_address_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="workers: it is an option of the command"):
        prowingen_wsgi.start(hello, LOCAL, workers=4)
    with pytest.raises(TypeError, match="thread"):
        prowingen_wsgi.start(hello, LOCAL, thread=4)
    with pytest.raises(ConfigError, match="bind: addresses are given as URLs"):
        prowingen_wsgi.start(hello, LOCAL, bind="127.0.0.1:0")
    with pytest.raises(ConfigError, match="https"):
        prowingen_wsgi.start(hello, "https://127.0.0.1:0")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:9002", ("http", "127.0.0.1", "9002", "")),
        ("http://localhost/", ("http", "localhost", "80", "")),
        ("http://*:1", ("http", "", "1", "")),
        ("http://+:1/a/b/", ("http", "", "1", "/a/b")),
        ("https://[::1]/x%20y", ("https", "::1", "443", "/x y")),
        ("unix:/run/app.sock", ("unix", "/run/app.sock", "", "")),
        ("fd://3", ("fd", "3", "", "")),
    ],
)
def test_a_url_is_read(url: str, address: tuple[str, ...]) -> None:
    scheme, host, port, path = address
    assert parse_url(url) == HostAddress(scheme=scheme, host=host, port=port, path=path)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:80", "ftp://a", "http://", "http://a:99999", "http://a/?b", "http://[::1"],
)
def test_what_is_no_url_is_refused_with_it(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_url(url)
    assert str(raised.value).startswith(f'"{url}"')


# ---- by name


class Recording:
    """A factory that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def initialize(self, properties: dict[str, Any]) -> None:
        self.calls.append(("initialize", dict(properties)))
        properties["server.capabilities"]["recording"] = "1"

    def create(self, app: object, properties: dict[str, Any]) -> Recording:
        self.calls.append(("create", app))
        return self

    @property
    def addresses(self) -> list[str]:
        return ["nowhere"]

    def close(self) -> None:
        self.calls.append(("close", None))


def test_a_factory_is_told_where_to_listen_and_says_what_it_can() -> None:
    factory = Recording()
    with prowingen_wsgi.start(hello, "http://a:1/b", server_factory=factory, size=3) as started:
        assert started.addresses == ["nowhere"]
        assert started.capabilities == {"recording": "1"}
    told = factory.calls[0][1]
    assert told["host.addresses"] == [{"scheme": "http", "host": "a", "port": "1", "path": "/b"}]
    assert told["server.options"] == {"size": 3}
    assert [call for call, _ in factory.calls] == ["initialize", "create", "close"]


def test_a_factorys_class_is_made_as_by_its_name(engine: str) -> None:
    with prowingen_wsgi.start(hello, LOCAL, server_factory=WsgiFactory, engine=engine) as started:
        assert ask(started).body == b"hello"


def test_the_variable_names_the_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert isinstance(find_factory(), WsgiFactory)
    monkeypatch.setenv(VARIABLE, "wsgi")
    assert isinstance(find_factory(), WsgiFactory)
    monkeypatch.setenv(VARIABLE, f"{__name__}:Recording")
    assert isinstance(find_factory(), Recording)
    assert isinstance(find_factory("wsgi"), WsgiFactory), "an argument comes first"


def test_the_protocol_is_what_both_are() -> None:
    assert isinstance(WsgiFactory(), ServerFactory)
    assert isinstance(Recording(), ServerFactory)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wsgo", r'PROWINGEN_SERVER: "wsgo": no such server factory; did you mean "wsgi"\?'),
        ("other", r"; there are wsgi; any other is given as package\.module:Factory"),
        (":Factory", '":Factory": no such server factory; there are wsgi;'),
        (".module:Factory", r'"\.module:Factory": no such server factory; there are wsgi;'),
        ("no_such_module:Factory", "No module named 'no_such_module'"),
        ("json:Factory", "module 'json' has no attribute 'Factory'"),
    ],
)
def test_a_name_of_nothing_lists_what_there_is(
    monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setenv(VARIABLE, name)
    with pytest.raises(FactoryNotFoundError, match=message):
        find_factory()


def test_what_is_no_factory_is_refused() -> None:
    with pytest.raises(TypeError, match="has the methods initialize and create"):
        find_factory("json:JSONDecoder")


# ---- from a package of its own

OTHER = """
    from wsgiref.simple_server import make_server
    import threading


    class Factory:
        def initialize(self, properties):
            properties["server.capabilities"]["wsgi.version"] = "1.0"

        def create(self, app, properties):
            address = properties["host.addresses"][0]
            return Running(make_server(address["host"], int(address["port"]), app))


    class Running:
        def __init__(self, server):
            self.server = server
            self.thread = threading.Thread(target=server.serve_forever)
            self.thread.start()

        @property
        def addresses(self):
            return [f"http://127.0.0.1:{self.server.server_port}"]

        def close(self):
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()
"""

PROGRAM = """
    import urllib.request
    import prowingen_wsgi

    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["SERVER_SOFTWARE"].encode()]

    with prowingen_wsgi.start(app, "http://127.0.0.1:0") as started:
        print(urllib.request.urlopen(started.addresses[0]).read().decode())
"""


@pytest.fixture
def other_package(tmp_path: Path) -> Path:
    """A folder that a package with a server factory is installed into."""
    wheel = tmp_path / "other_server-1.0-py3-none-any.whl"
    info = "other_server-1.0.dist-info"
    files = {
        "other_server.py": dedent(OTHER),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: other-server\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": "[prowingen_wsgi.server_factories]\n"
        "other = other_server:Factory\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    target = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(wheel)], check=True, timeout=60)
    return target


@pytest.mark.timeout(90)
def test_a_factory_of_another_package_serves(other_package: Path) -> None:
    def run(name: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(other_package), VARIABLE: name}
        command = [sys.executable, "-c", dedent(PROGRAM)]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=30
        )

    assert run("other").stdout.startswith("WSGIServer/")
    assert run("wsgi").stdout.startswith("prowingen")
    assert "there are other, wsgi;" in run("nonesuch").stderr
