"""What uses the Python blocks about WebSockets and streams."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.redis_server import RedisServer
from harness.waiting import eventually
from harness.websocket_wire import WebSocketWire
from harness.wire import Wire

from .drivers import get, listening, serving
from .run import drives

if TYPE_CHECKING:
    from .run import Run


def address(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def open_sockets(stack: ExitStack, url: str, path: str, number: int = 1) -> list[WebSocketWire]:
    wires = [stack.enter_context(Wire(address(url))) for _ in range(number)]
    return [WebSocketWire(wire, path) for wire in wires]


@drives("websocket", '"/echo", websocket=True')
def echoes_messages(run: Run) -> None:
    app = run()["app"]
    with serving(app) as url, ExitStack() as stack:
        (client,) = open_sockets(stack, url, "/echo")
        assert client.ask("anything") == "anything"
        client.close()
        assert client.closing()[0] == 1000


@drives("websocket", '"/chat", websocket=True')
def tells_the_room(run: Run) -> None:
    names = run.after_others()
    with serving(names["app"]) as url, ExitStack() as stack:
        clients = open_sockets(stack, url, "/chat", 3)
        assert eventually(lambda: len(names["room"]) == 3)
        clients[0].say("hello")
        assert [client.hear() for client in clients] == ["hello"] * 3
        clients[0].close()
        assert eventually(lambda: len(names["room"]) == 2)


DJANGO = """
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="for a test", ALLOWED_HOSTS=["*"], ROOT_URLCONF="views",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies", LOGIN_URL="/login/",
)
django.setup()
"""


@drives("websocket", "class Chat(LoginRequiredMixin")
def is_views_of_django(run: Run) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "views.py").write_text(run.block.text)
        sys.path.insert(0, folder)
        exec(DJANGO)
        from django.core.handlers.wsgi import WSGIHandler

        with serving(WSGIHandler()) as url, ExitStack() as stack:
            (client,) = open_sockets(stack, url, "/echo/")
            assert client.ask("hello") == "AnonymousUser: hello"
            client.close()
            assert client.closing()[0] == 1000
            with Wire(address(url)) as stranger:  # who has not logged in
                answer = stranger.ask(
                    "/chat/",
                    "Connection: Upgrade",
                    "Upgrade: websocket",
                    "Sec-WebSocket-Version: 13",
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                )
            assert answer.status == 302
            assert "/login/" in str(answer.get("location"))


@drives("websocket", "from prowingen_wsgi.contrib.redis_rooms")
def rooms_meet_by_redis(run: Run) -> None:
    with RedisServer() as redis:
        redis.start()
        # The page's own address would be a Redis that the machine may have.
        text = run.block.text.replace("redis://localhost:6379/0", redis.url)
        run.block = replace(run.block, text=text)
        names = run()
        from prowingen_wsgi import websocket

        def handler(request: Any, _response: Any) -> None:
            if websocket.is_websocket(request):
                room = names["room"]
                request.upgrade.websocket(on_open=room.add, on_message=lambda *_: None)

        with listening(handler) as url, ExitStack() as stack:
            (client,) = open_sockets(stack, url, "/")
            assert eventually(lambda: len(names["room"]) == 1)
            names["rooms"].ready(timeout=10)
            elsewhere = (
                "import sys; from prowingen_wsgi.contrib.redis_rooms import RedisRooms\n"
                "rooms = RedisRooms(sys.argv[1]); rooms.room('chat').broadcast('from afar')\n"
                "rooms.close()"
            )
            command = [sys.executable, "-c", elsewhere, redis.url]
            subprocess.run(command, check=True, env={**os.environ})
            assert client.hear() == "from afar"
        names["rooms"].close()


def _echoes(url: str) -> None:
    with socket.create_connection(address(url), timeout=10) as client:
        request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello"
        client.sendall(request.encode())
        client.shutdown(socket.SHUT_WR)
        heard = b"".join(iter(lambda: client.recv(65536), b""))
    assert heard.startswith(b"HTTP/1.1 101 ")
    assert heard.endswith(b"\r\n\r\nhello")


@drives("websocket", 'upgrade = environ.get("opaque.upgrade")')
def echoes_by_a_stream(run: Run) -> None:
    with serving(run()["application"]) as url:
        assert "Ask for echo" in get(url)
        _echoes(url)


@drives("listener", "websocket.is_websocket(request)")
def speaks_other_protocols(run: Run) -> None:
    from prowingen_wsgi import websocket

    with listening(run(websocket=websocket)["handler"]) as url, ExitStack() as stack:
        (client,) = open_sockets(stack, url, "/")
        assert client.ask("hello") == "hello"
        client.close()
        _echoes(url)


@drives("websocket", '"CONNECT" or environ')
def is_a_tunnel(run: Run) -> None:
    def relay(here: Any, there: Any) -> None:
        """Until the client has no more to say, and then what is still to be heard."""
        while data := here.recv(65536):
            there.sendall(data)
        there.shutdown(socket.SHUT_WR)
        while data := there.recv(65536):
            here.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as place:

        def echo() -> None:
            with place.accept()[0] as peer:
                while data := peer.recv(65536):
                    peer.sendall(data.upper())

        thread = threading.Thread(target=echo)
        thread.start()
        target = f"127.0.0.1:{place.getsockname()[1]}"
        names = run(socket=socket, relay=relay, ALLOWED={target})
        with serving(names["application"], allow_connect=True) as url:
            heard = _connect(url, "127.0.0.1:1", b"")
            assert heard.startswith(b"HTTP/1.1 403 ")
            heard = _connect(url, target, b"hello")
            assert heard.startswith(b"HTTP/1.1 200 ")
            assert heard.endswith(b"HELLO")
        thread.join()


def _connect(url: str, target: str, said: bytes) -> bytes:
    with socket.create_connection(address(url), timeout=10) as client:
        client.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode() + said)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))
