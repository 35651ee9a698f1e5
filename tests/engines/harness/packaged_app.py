"""An application as a package's user has it: in /srv/app, configured in /etc/prowingen."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.debian_root import DebianRoot

APP = """\
import os

from flask import Flask, request

app = Flask(__name__)

@app.get("/")
def process():
    return str(os.getpid())

@app.post("/size")
def size():
    return str(len(request.get_data()))

@app.route("/echo", websocket=True)
def echo():
    # As frameworks' extensions take it from the environ, by modules of the server's own.
    socket = request.environ["wsgi.websocket"]
    while (message := socket.receive()) is not None:
        socket.send(message)
    return ""
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def ask(port: int) -> str:
    """The answer to one request; empty while there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.read().decode() if response.status == 200 else ""
    except OSError:
        return ""
    finally:
        connection.close()


def configure(root: DebianRoot, name: str, bind: str, *options: str, workers: int = 2) -> None:
    """An application /etc/prowingen/NAME.toml. options: further lines of it."""
    root.write("/srv/app/hello.py", APP)
    lines = [
        'chdir = "/srv/app"',
        'app = "hello:app"',
        f'bind = "{bind}"',
        f"workers = {workers}",
        f'access_log = "/var/log/prowingen/{name}.log"',
        *options,
    ]
    root.write(f"/etc/prowingen/{name}.toml", "\n".join(lines) + "\n")
