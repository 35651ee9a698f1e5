"""WebSockets as views of a project as `startproject` makes it, with its middlewares."""

from __future__ import annotations

import re
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness.commands import edit, run_command
from harness.django_project import USER, DjangoProject, add_superuser, make_project
from harness.waiting import eventually
from harness.websocket_wire import handshake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.process import ServerProcess

pytest.importorskip("django")
websockets: Any = pytest.importorskip("websockets.sync.client")
exceptions: Any = pytest.importorskip("websockets.exceptions")

pytestmark = pytest.mark.timeout(60)

DOCS = Path(__file__).resolve().parents[2] / "docs" / "websocket.md"

VIEWS = """
from django.core.signals import got_request_exception
from django.db import connection
from django.urls import path
from prowingen_wsgi.contrib.django.websocket import WebSocketView, websocket_view

told = []
ended = []

@got_request_exception.connect
def tell(sender, request, **more):
    told.append(request.path)

def is_open():
    return connection.connection is not None

@websocket_view
def ends(request, socket, number):
    socket.send(f"{number} {is_open()}")
    request.user.is_authenticated
    socket.send(f"{connection.in_atomic_block}")

@websocket_view
def fails(request, socket):
    raise LookupError("a mistake of the view's")

@websocket_view
def loses(request, socket):
    while True:
        socket.receive()

@websocket_view
def says_goodbye(request, socket):
    socket.close(4000, "enough")
    socket.send("too late")


@websocket_view(subprotocols=["chat"], origins="*")
def anybody(request, socket):
    socket.send(socket.subprotocol)

@websocket_view
def counts(request, socket):
    request.session["times"] = request.session.get("times", 0) + 1
    socket.send(str(request.session["times"]))
    for message in socket:
        pass

class Events(WebSocketView):
    accept_options = {"subprotocols": ["events"]}

    def on_open(self, socket):
        socket.send(f"{socket.subprotocol} {self.kwargs['number']} {is_open()}")

    def on_message(self, socket, message):
        if message == "fail":
            raise LookupError("a mistake of the method's")
        if message == "linger":
            socket.wait_closed(10)
            ended.append(socket.closed)
            socket.send("too late")
        before = is_open()
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        socket.send(f"{before} {is_open()} {connection.in_atomic_block} {told}{ended or ''}")

urlpatterns = [
    path("ends/<int:number>", ends), path("fails", fails), path("loses", loses),
    path("says-goodbye", says_goodbye),
    path("anybody", anybody), path("counts", counts), path("events/<int:number>", Events.as_view()),
]
"""

TRUSTED = "CSRF_TRUSTED_ORIGINS = ['https://friend.example', 'https://*.family.example']"
SESSION = f"""
from django.contrib.auth import get_user_model, login
from django.http import HttpRequest
from importlib import import_module
from django.conf import settings
request = HttpRequest()
request.session = import_module(settings.SESSION_ENGINE).SessionStore()
login(request, get_user_model().objects.get(username="{USER}"))
request.session.save()
print("session", request.session.session_key)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DjangoProject:
    project = make_project(tmp_path_factory.mktemp("project"))
    project.change_settings(
        "ALLOWED_HOSTS = []", f"ALLOWED_HOSTS = ['127.0.0.1', 'localhost']\n{TRUSTED}"
    )
    project.change_settings("'NAME': BASE", "'ATOMIC_REQUESTS': True, 'NAME': BASE")
    add_superuser(project)
    return project


@pytest.fixture(scope="module")
def cookie(project: DjangoProject) -> dict[str, str]:
    """Of a user who has logged in."""
    found = re.search(r"^session (\w+)$", project.manage("shell", "-c", SESSION), re.MULTILINE)
    assert found is not None
    return {"Cookie": f"sessionid={found[1]}"}


@contextmanager
def served(project: DjangoProject, engine: str, urls: str) -> Iterator[ServerProcess]:
    edit(project.settings.with_name("urls.py"), urls)
    command = [sys.executable, "manage.py", "prowingen", "--bind", "127.0.0.1:0", "--threads", "2"]
    with run_command(command, project.folder, PROWINGEN_ENGINE=engine) as server:
        yield server


def connect(server: ServerProcess, path: str, *, headers: Any = None, **options: Any) -> Any:
    url = server.url.replace("http:", "ws:") + path
    return websockets.connect(url, additional_headers=headers, **options)


def closing(ws: Any) -> int:
    """The code with which the other side closes it."""
    with pytest.raises(exceptions.ConnectionClosed) as closed:
        ws.recv(10)
    assert closed.value.rcvd is not None
    return int(closed.value.rcvd.code)


def refusal(server: ServerProcess, path: str, **options: Any) -> int:
    with pytest.raises(exceptions.InvalidStatus) as refused:
        connect(server, path, **options)
    return int(refused.value.response.status_code)


def is_open(process: int, name: str) -> bool:
    """Whether a file of that name is, on a system that says so."""
    found = []
    for each in Path(f"/proc/{process}/fd").glob("*"):
        with suppress(OSError):
            found.append(each.readlink().name)
    return name in found


def test_the_example_of_the_documentation(
    project: DjangoProject, engine: str, cookie: dict[str, str]
) -> None:
    section = DOCS.read_text().split("### Django\n")[1]
    with served(project, engine, section.split("```python\n")[1].split("```")[0]) as server:
        with connect(server, "/echo/") as ws:
            ws.send("hello")
            assert ws.recv(10) == "AnonymousUser: hello"
        with connect(server, "/echo/", headers=cookie) as ws:
            ws.send("hello")
            assert ws.recv(10) == f"{USER}: hello"
        with server.connect() as wire:
            wire.send(handshake("/chat/"))
            answer = wire.response()
            assert (answer.status, answer.get("location")) == (302, "/accounts/login/?next=/chat/")
        with (
            connect(server, "/chat/", headers=cookie) as one,
            connect(server, "/chat/", headers=cookie) as two,
        ):
            two.send("not in it yet, perhaps")
            two.recv(10)
            one.send("to all")
            assert f"{USER}: to all" in (one.recv(10), one.recv(10))
            assert two.recv(10) == f"{USER}: to all"
    assert "Traceback" not in server.log


def test_ends_of_functions(project: DjangoProject, engine: str) -> None:
    with served(project, engine, VIEWS) as server:
        with connect(server, "/ends/7") as ws:
            assert ws.recv(10) == "7 False"
            assert ws.recv(10) == "False", "it is in no transaction"
            assert closing(ws) == 1000
        with connect(server, "/loses") as ws:
            ws.send("x")
        assert "Internal Server Error" not in server.log
        with connect(server, "/fails") as ws:
            assert closing(ws) == 1011
        server.wait_for_line("Internal Server Error: /fails")
        server.wait_for_line("LookupError: a mistake of the view's")
        with server.connect() as wire:
            wire.send(handshake("/fails", without="Sec-WebSocket-Version"))
            assert wire.response().status == 426
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert server.log.count("Traceback") == 1


def test_events(project: DjangoProject, engine: str, cookie: dict[str, str]) -> None:
    with served(project, engine, VIEWS) as server:
        options: dict[str, Any] = {"headers": cookie, "subprotocols": ["events"]}
        with connect(server, "/events/7", **options) as ws:
            assert ws.recv(10) == "events 7 False"
            for _ in range(10):
                ws.send("again, on any thread")
                assert ws.recv(10) == "False True False []", "a connection is closed behind it"
            assert eventually(lambda: not is_open(server.pid, "db.sqlite3"))
            ws.send("fail")
            assert closing(ws) == 1011
        server.wait_for_line("LookupError: a mistake of the method's")
        with connect(server, "/events/8") as ws:
            ws.recv(10)
            ws.send("who was told")
            assert ws.recv(10).endswith("['/events/7']")


def test_an_end_that_the_view_did_not_wait_for_is_no_failure(
    project: DjangoProject, engine: str
) -> None:
    with served(project, engine, VIEWS) as server:
        with connect(server, "/events/1") as ws:
            ws.recv(10)
            ws.send("linger")
        with connect(server, "/says-goodbye") as ws:
            assert closing(ws) == 4000

        def is_told() -> bool:
            with connect(server, "/events/2") as ws:
                ws.recv(10)
                ws.send("who was told")
                return str(ws.recv(10)).endswith(" [][True]")

        assert eventually(is_told)


def test_whose_pages_may_connect(project: DjangoProject, engine: str) -> None:
    with served(project, engine, VIEWS) as server:
        own = server.url
        friends = ["https://friend.example", "https://a.family.example"]
        for origin in (None, own, *friends):
            with connect(server, "/ends/1", origin=origin) as ws:
                assert ws.recv(10) == "1 False"
        strangers = [own.replace("http:", "https:"), "http://a.family.example", "null"]
        strangers += ["https://friend.example:8443", "https://notfamily.example", "https://[x"]
        for origin in strangers:
            for path in ("/ends/1", "/events/1"):
                assert refusal(server, path, origin=origin) == 403, origin
        with connect(server, "/anybody", origin="null", subprotocols=["x", "chat"]) as ws:
            assert ws.recv(10) == "chat"
        with server.connect() as wire:
            wire.send(handshake("/ends/1", "Host: elsewhere.example", without="Host"))
            assert wire.response().status == 400


def test_a_session_is_saved_at_the_end(
    project: DjangoProject, engine: str, cookie: dict[str, str]
) -> None:
    def times() -> int:
        with connect(server, "/counts", headers=cookie) as ws:
            return int(ws.recv(10))

    with served(project, engine, VIEWS) as server:
        assert times() == 1
        assert eventually(lambda: times() > 1), "the end of the first is not waited for"


OTHERWISE = """
from django.test import Client
for fields in ({}, {"HTTP_UPGRADE": "websocket"}):
    for path in ("/ends/1", "/events/1"):
        answer = Client(SERVER_NAME="127.0.0.1").get(path, **fields)
        print(answer.status_code, answer.content.decode().strip())
"""


def test_other_requests_and_servers(project: DjangoProject) -> None:
    edit(project.settings.with_name("urls.py"), VIEWS)
    told = project.manage("shell", "-c", OTHERWISE).splitlines()
    expected = ["400 This is for WebSockets."] * 2 + ["501 This server gives no WebSockets."] * 2
    assert [line for line in told if line[:3] in ("400", "501")] == expected
