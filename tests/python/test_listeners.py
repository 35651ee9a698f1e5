from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from prowingen_wsgi import originals
from prowingen_wsgi.listeners import Listener, ListenError, open_listeners

if TYPE_CHECKING:
    from pathlib import Path

Open = Callable[..., list[Listener]]


@pytest.fixture
def open_all() -> Iterator[Open]:
    """Opens listeners that are closed when the test ends."""
    with contextlib.ExitStack() as stack:

        def start(*addresses: str) -> list[Listener]:
            opened = open_listeners(addresses, backlog=16)
            for listener in opened:
                stack.callback(listener.close)
            return opened

        yield start


def port_of(listener: Listener) -> int:
    return int(listener.description.rpartition(":")[2])


def connects(family: int, address: object) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        return client.connect_ex(address) == 0  # type: ignore[arg-type]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def test_a_free_port_is_reported(open_all: Open) -> None:
    (listener,) = open_all("127.0.0.1:0")
    assert listener.description == f"http://127.0.0.1:{port_of(listener)}"
    assert port_of(listener) > 0
    assert connects(socket.AF_INET, ("127.0.0.1", port_of(listener)))


def test_a_handed_over_socket_is_the_takers_to_close(open_all: Open) -> None:
    (listener,) = open_all("127.0.0.1:0")
    port = port_of(listener)
    fd = listener.hand_over()
    listener.close()
    assert not os.get_blocking(fd)
    assert not os.get_inheritable(fd)
    assert connects(socket.AF_INET, ("127.0.0.1", port))
    os.close(fd)
    assert not connects(socket.AF_INET, ("127.0.0.1", port))


@needs_ipv6
def test_ipv6_and_ipv4_share_a_port(open_all: Open) -> None:
    (six,) = open_all("[::]:0")  # what ipv6_only, or an address of IPv4 beside it, leaves
    (four,) = open_all(f"0.0.0.0:{port_of(six)}")
    assert six.description == f"http://[::]:{port_of(six)}"
    assert port_of(four) == port_of(six)


@needs_ipv6
def test_a_port_alone_means_every_interface_of_both_families(open_all: Open) -> None:
    opened = open_all(":0")
    assert {listener.description.rpartition(":")[0] for listener in opened} == {
        "http://0.0.0.0",
        "http://[::]",
    }
    assert len({port_of(listener) for listener in opened}) == 1


def fake_hosts(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[int, str]) -> None:
    def getaddrinfo(_host: str, port: int, **_: object) -> list[object]:
        return [(family, socket.SOCK_STREAM, 0, "", (host, port)) for family, host in addresses]

    monkeypatch.setattr(originals.socket, "getaddrinfo", getaddrinfo)


def test_a_name_opens_each_of_its_addresses_once_on_one_port(
    open_all: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2")
    fake_hosts(monkeypatch, first, second, first)
    opened = open_all("two.test:0")
    assert [listener.description.rpartition(":")[0] for listener in opened] == [
        "http://127.0.0.1",
        "http://127.0.0.2",
    ]
    assert len({port_of(listener) for listener in opened}) == 1


def test_an_address_that_this_machine_lacks_is_left_out_if_another_is_there(
    open_all: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
    missing, there = (socket.AF_INET, "192.0.2.1"), (socket.AF_INET, "127.0.0.1")
    fake_hosts(monkeypatch, missing, there)
    (listener,) = open_all("half.test:0")
    assert listener.description.startswith("http://127.0.0.1:")


def test_an_address_that_this_machine_lacks_is_refused(open_all: Open) -> None:
    with pytest.raises(ListenError, match=r"^cannot listen on 192\.0\.2\.1:0: cannot assign"):
        open_all("192.0.2.1:0")


def test_an_unknown_name_is_refused(open_all: Open) -> None:
    with pytest.raises(ListenError, match=r"^cannot listen on no-such\.invalid:1: no such host"):
        open_all("no-such.invalid:1")


def test_a_taken_port_is_refused_and_what_was_opened_before_is_closed(
    open_all: Open, tmp_path: Path
) -> None:
    (taken,) = open_all("127.0.0.1:0")
    address = f"127.0.0.1:{port_of(taken)}"
    with pytest.raises(ListenError, match=f"^cannot listen on {address}: address already in use$"):
        open_all(f"unix:{tmp_path}/first.sock", address)
    assert not (tmp_path / "first.sock").exists()


def test_a_socket_file_lives_as_long_as_its_listener(open_all: Open, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    (listener,) = open_all(f"unix:{path}")
    assert listener.description == f"unix:{path}"
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert connects(socket.AF_UNIX, str(path))
    listener.close()
    assert not path.exists()


def test_a_stale_socket_file_is_replaced(open_all: Open, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as crashed:
        crashed.bind(str(path))
    open_all(f"unix:{path}")
    assert connects(socket.AF_UNIX, str(path))


def test_a_socket_file_that_is_listened_on_is_left_alone(open_all: Open, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    open_all(f"unix:{path}")
    with pytest.raises(ListenError, match=r"another server listens on it$"):
        open_all(f"unix:{path}")
    assert connects(socket.AF_UNIX, str(path))


def test_a_busy_socket_file_is_left_alone(open_all: Open, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        busy.bind(str(path))
        busy.listen(0)
        full = False
        while not full:
            client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.setblocking(False)
            full = client.connect_ex(str(path)) != 0
        with pytest.raises(ListenError, match=r"another server listens on it$"):
            open_all(f"unix:{path}")
    assert path.exists()


def test_a_file_that_is_no_socket_is_left_alone(open_all: Open, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    path.write_text("precious")
    with pytest.raises(ListenError, match=r"a file that is not a socket is in the way$"):
        open_all(f"unix:{path}")
    assert path.read_text() == "precious"


def test_a_successors_socket_file_is_left_alone(open_all: Open, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    (listener,) = open_all(f"unix:{path}")
    path.rename(tmp_path / "moved.sock")
    open_all(f"unix:{path}")
    listener.close()
    assert connects(socket.AF_UNIX, str(path))


def test_a_forked_child_leaves_the_socket_file(
    open_all: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.sock"
    (listener,) = open_all(f"unix:{path}")
    with monkeypatch.context() as child:
        child.setattr(originals.os, "getpid", lambda: -1)
        listener.close()
    assert path.exists()


def test_a_path_that_is_too_long_is_refused(open_all: Open, tmp_path: Path) -> None:
    with pytest.raises(ListenError, match=r"the path is too long for a socket$"):
        open_all(f"unix:{tmp_path}/{'x' * 120}")


def test_a_folder_that_is_missing_is_named(open_all: Open, tmp_path: Path) -> None:
    with pytest.raises(ListenError, match=r"missing/app\.sock: no such file or directory$"):
        open_all(f"unix:{tmp_path}/missing/app.sock")


@pytest.mark.parametrize("listening", [True, False])
def test_an_inherited_socket_stays_with_who_opened_it(open_all: Open, listening: bool) -> None:
    with socket.socket() as inherited:
        inherited.bind(("127.0.0.1", 0))
        if listening:
            inherited.listen()
        (listener,) = open_all(f"fd://{inherited.fileno()}")
        assert port_of(listener) == inherited.getsockname()[1]
        assert connects(socket.AF_INET, inherited.getsockname())
        listener.close()
        assert connects(socket.AF_INET, inherited.getsockname())


def test_an_inherited_unix_socket_keeps_its_file(open_all: Open, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as inherited:
        inherited.bind(str(path))
        (listener,) = open_all(f"fd://{inherited.fileno()}")
        assert listener.description == f"unix:{path}"
        listener.close()
        assert path.exists()


def test_a_descriptor_that_cannot_listen_is_refused(open_all: Open, tmp_path: Path) -> None:
    def refused(fd: int, reason: str) -> None:
        with pytest.raises(ListenError, match=f"^cannot listen on fd://{fd}: {reason}$"):
            open_all(f"fd://{fd}")

    left, right = socket.socketpair()
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with left, right, datagram, socket.socket() as unbound, (tmp_path / "file").open("w") as file:
        refused(left.fileno(), "the socket is not bound to an address")
        refused(unbound.fileno(), "the socket is not bound to an address")
        refused(datagram.fileno(), "not a TCP or Unix stream socket")
        refused(file.fileno(), "not a socket")
    refused(999_999, "bad file descriptor")


def test_an_inherited_connection_is_refused(open_all: Open) -> None:
    (listener,) = open_all("127.0.0.1:0")
    connection = socket.create_connection(("127.0.0.1", port_of(listener)))
    refusal = pytest.raises(ListenError, match=r"a connection, not a listening socket$")
    with connection, refusal:
        open_all(f"fd://{connection.fileno()}")
