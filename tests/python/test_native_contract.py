"""What the Python side relies on in the native module as it was built."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from prowingen_wsgi.configuration.config import OPTIONS, Config

if TYPE_CHECKING:
    from collections.abc import Iterable

native: Any = pytest.importorskip("prowingen_wsgi._native")


def app(_environ: object, _start_response: object) -> Iterable[bytes]:
    return []


def make(options: dict[str, object], *fds: int) -> Any:
    return native.Server(
        (app,) * len(fds), [(fd, "http://test") for fd in fds], options, log=print, access_log=None
    )


def test_the_native_side_knows_every_option_that_it_is_given() -> None:
    make(Config().native_options())


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.native])
def test_an_option_of_another_type_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make({**Config().native_options(), name: object()})


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValueError, match="options"):
        make({**Config().native_options(), "nonsense": 1})


def test_there_is_an_application_for_each_listening_socket() -> None:
    with pytest.raises(ValueError, match="apps: one for each listener"):
        native.Server((app,), [], Config().native_options(), log=print, access_log=None)


def test_sockets_change_hands_only_if_the_options_are_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refused = {**Config().native_options(), "access_log_format": "%!"}
        with pytest.raises(ValueError, match="access log format"):
            make(refused, listener.fileno())
        assert listener.getsockname()
        fd = os.dup(listener.fileno())
        server = make(Config().native_options(), fd)
        server.stop()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_the_embedded_engine_is_always_there() -> None:
    engines = native.engines()
    assert "embedded" in engines
    assert all(isinstance(version, str) and version for version in engines.values())
