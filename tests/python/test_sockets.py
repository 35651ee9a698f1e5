"""The sockets of one reading of the configuration after another, as reloads go."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from test_listeners import connects, needs_ipv6

from prowingen_wsgi.configuration.config import Config
from prowingen_wsgi.listeners import ListenError
from prowingen_wsgi.processes.generation import Sockets
from prowingen_wsgi.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


def config(*addresses: str, ipv6_only: bool = False) -> Config:
    return Config(bind=addresses, ipv6_only=ipv6_only)


def free_port() -> int:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.bind(("::", 0))
        return int(probe.getsockname()[1])


@contextmanager
def opened(first: Config) -> Iterator[Sockets]:
    sockets = Sockets()
    try:
        sockets.open(first)
        yield sockets
    finally:
        sockets.close()


def replace(sockets: Sockets, before: Config, after: Config) -> list[str]:
    """A reload; what is listened on, while the workers of before still serve, and then."""
    both = [each.description for each in sockets.open(after)]
    sockets.keep([before, after])
    sockets.keep([after])
    assert both == [each.description for each in sockets.open(after)]
    return both


@needs_ipv6
def test_every_interface_may_become_one_family_and_be_both_again() -> None:
    port = free_port()
    both, six = config(f"[::]:{port}"), config(f"[::]:{port}", ipv6_only=True)
    with opened(both) as sockets:
        assert replace(sockets, both, six) == [f"http://[::]:{port}"]
        assert connects(socket.AF_INET6, ("::1", port))
        assert not connects(socket.AF_INET, ("127.0.0.1", port))
        assert set(replace(sockets, six, both)) == {f"http://[::]:{port}", f"http://0.0.0.0:{port}"}
        assert connects(socket.AF_INET6, ("::1", port))
        assert connects(socket.AF_INET, ("127.0.0.1", port))
    assert not connects(socket.AF_INET6, ("::1", port))


@needs_ipv6
def test_an_address_that_overlaps_with_one_to_be_replaced_is_said_to_take_a_restart() -> None:
    port = free_port()
    with opened(config(f":{port}")) as sockets:
        with pytest.raises(ListenError) as refused:
            sockets.open(config(f"[::]:{port}", f"127.0.0.1:{port}"))
        assert str(refused.value) == (
            f"cannot listen on 127.0.0.1:{port}: address already in use, by this server's "
            f"http://0.0.0.0:{port}: replacing that takes a restart"
        )
        assert connects(socket.AF_INET6, ("::1", port))
        assert connects(socket.AF_INET, ("127.0.0.1", port))


def test_two_names_of_one_address_are_one_socket() -> None:
    with opened(config("127.0.0.1:0")) as sockets:
        (listener,) = sockets.open(config("127.0.0.1:0"))
        port = int(listener.description.rpartition(":")[2])
        renamed = sockets.open(config("127.0.0.1:0", f"127.0.0.1:{port}"))
        assert renamed == [listener]
        sockets.keep([config(f"127.0.0.1:{port}")])
        assert connects(socket.AF_INET, ("127.0.0.1", port))


@needs_ipv6
@pytest.mark.parametrize(
    ("taken", "why"),
    [
        ("0.0.0.0", "address already in use on IPv4 (with ipv6_only it is IPv6's alone)"),
        ("127.0.0.1", "address already in use on IPv4 (with ipv6_only it is IPv6's alone)"),
        ("::1", "address already in use on IPv6"),
    ],
)
def test_an_address_that_is_refused_is_named_as_it_was_written(taken: str, why: str) -> None:
    family = socket.AF_INET6 if ":" in taken else socket.AF_INET
    sockets = Sockets()
    with socket.socket(family, socket.SOCK_STREAM) as other:
        other.bind((taken, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ListenError) as refused:
            sockets.open(config(f"[::]:{port}"))
        assert str(refused.value) == f"cannot listen on [::]:{port}: {why}"
        with pytest.raises(ListenError) as refused:
            Server(lambda _environ, _start_response: [], Config(bind=(f"[::]:{port}",)))
        assert str(refused.value) == f"cannot listen on [::]:{port}: {why}"
        with pytest.raises(ListenError) as refused:
            sockets.open(config(f":{port}"))
        assert str(refused.value) == f"cannot listen on :{port}: {why.partition(' (')[0]}"
        if family == socket.AF_INET:
            sockets.open(config(f"[::]:{port}", ipv6_only=True))
            sockets.close()
