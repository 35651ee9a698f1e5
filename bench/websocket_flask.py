"""The rows of WebSockets with flask-sock; `bench.websocket_apps` says what they ask.

Only the peers' environment has flask-sock, so it is imported by name. A room of ten thousand would
take twenty thousand threads, so there is none.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from flask import Flask, Response

from bench.apps import HELLO
from bench.websocket_news import MAX_MESSAGE

app = Flask(__name__)
app.config["SOCK_SERVER_OPTIONS"] = {"max_message_size": MAX_MESSAGE}
sock: Any = import_module("flask_sock").Sock(app)


@app.get("/")
def hello() -> Response:
    return Response(HELLO, mimetype="text/plain")


@sock.route("/echo")  # type: ignore[untyped-decorator]
def echo(ws: Any) -> None:
    while True:
        ws.send(ws.receive())
