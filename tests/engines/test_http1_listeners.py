"""Where a server listens: IPv4, IPv6, Unix sockets, several at once."""

from __future__ import annotations

import json
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from harness.apps import Echo, hello
from harness.site import ServeFixture, address_of, start_site
from harness.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


@needs_ipv6
def test_ipv6_address(serve: ServeFixture) -> None:
    site = serve(Echo(), bind="[::1]:0")
    assert "://[::1]:" in site.url
    environ = json.loads(site.ask().body)["environ"]
    assert environ["REMOTE_ADDR"] == "::1"
    assert environ["SERVER_PORT"] == str(site.port)


@needs_ipv6
@pytest.mark.no_http2("its clients speak HTTP/1.1 alone")
@pytest.mark.no_tls("it connects by itself")
@pytest.mark.parametrize("bind", ["[::]:0", "[0:0::0]:0", ":0"])
def test_every_ipv6_address_is_every_ipv4_address_too(serve: ServeFixture, bind: str) -> None:
    site = serve(Echo(), bind=bind)
    for host in ("127.0.0.1", "::1"):
        with Wire((host, site.port)) as wire:
            environ = json.loads(wire.ask().body)["environ"]
            assert environ["REMOTE_ADDR"] == host
            assert environ["SERVER_PORT"] == str(site.port)


@needs_ipv6
@pytest.mark.no_http2("its clients speak HTTP/1.1 alone")
@pytest.mark.no_tls("it connects by itself")
def test_every_ipv6_address_can_be_had_alone(serve: ServeFixture) -> None:
    site = serve(hello, bind="[::]:0", ipv6_only=True)
    with Wire(("::1", site.port)) as wire:
        assert wire.ask().body == b"hello"
    with pytest.raises(ConnectionRefusedError):
        Wire(("127.0.0.1", site.port))


@needs_ipv6
@pytest.mark.no_http2("its clients speak HTTP/1.1 alone")
@pytest.mark.no_tls("it connects by itself")
@pytest.mark.parametrize("four", ["0.0.0.0", "127.0.0.1"])
def test_both_families_may_be_named_beside_each_other(serve: ServeFixture, four: str) -> None:
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as probe:
        port = probe.getsockname()[1]
    for bind in ([f"{four}:{port}", f"[::]:{port}"], [f"[::]:{port}", f"{four}:{port}"]):
        site = serve(hello, bind=bind)
        assert len(site.server.addresses) == 2
        for host in ("127.0.0.1", "::1"):
            with Wire((host, port)) as wire:
                assert wire.ask().body == b"hello"
        site.server.stop()


def test_unix_socket(serve: ServeFixture, tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    site = serve(Echo(), bind=f"unix:{path}")
    assert site.address == str(path)
    environ = json.loads(site.ask().body)["environ"]
    assert isinstance(environ["REMOTE_ADDR"], str)
    assert environ["SERVER_NAME"]
    assert environ["SERVER_PORT"] is not None
    assert stat.S_ISSOCK(path.stat().st_mode)


def test_unix_socket_is_removed_in_the_end(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    with start_site(hello, engine, bind=f"unix:{path}") as site:
        assert site.ask().body == b"hello"
    assert not path.exists()


def test_stale_unix_socket_is_replaced(serve: ServeFixture, tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert serve(hello, bind=f"unix:{path}").ask().body == b"hello"


def test_living_unix_socket_is_not_stolen(serve: ServeFixture, tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    first = serve(hello, bind=f"unix:{path}")
    with pytest.raises(OSError, match=r"server\.sock"):
        serve(hello, bind=f"unix:{path}")
    assert first.ask().body == b"hello"


def test_taken_port_is_an_error_that_names_it(serve: ServeFixture) -> None:
    site = serve(hello)
    with pytest.raises(OSError, match=str(site.port)):
        serve(hello, bind=f"127.0.0.1:{site.port}")


@pytest.mark.no_http2("its clients speak HTTP/1.1 alone")
@pytest.mark.no_tls("it connects by itself")
def test_several_addresses_are_served_at_once(serve: ServeFixture, tmp_path: Path) -> None:
    binds = ["127.0.0.1:0", "127.0.0.1:0", f"unix:{tmp_path}/s"]
    site = serve(hello, bind=binds)
    assert len(set(site.server.addresses)) == 3
    for url in site.server.addresses:
        with Wire(address_of(url)) as wire:
            assert wire.ask().body == b"hello"


def test_port_of_a_stopped_server_is_free_again(engine: str) -> None:
    with start_site(hello, engine) as site:
        port = site.port
        wire = site.connect()
        wire.ask()
    with start_site(hello, engine, bind=f"127.0.0.1:{port}") as site:
        assert site.ask().body == b"hello"
