"""The rows of WebSockets with socketify's own interface; `bench.websocket_apps` says what they ask.

    python -m bench.websocket_socketify PORT

Runs in the peers' environment, which alone has socketify; it is imported by name.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from bench.apps import HELLO
from bench.websocket_news import GO, MAX_MESSAGE, NEWS

ROOM = "room"


def main(port: int) -> None:
    socketify: Any = import_module("socketify")
    app = socketify.App()
    text = socketify.OpCode.TEXT
    options = {
        "compression": socketify.CompressOptions.DISABLED,
        "max_payload_length": MAX_MESSAGE,
        "idle_timeout": 60,
    }

    def echo(ws: Any, message: str | bytes, opcode: Any) -> None:
        ws.send(message, opcode)

    def talk(ws: Any, message: str | bytes, opcode: Any) -> None:
        if message == GO:
            app.publish(ROOM, NEWS, text)
        else:
            ws.send(message, opcode)

    def hello(answer: Any, _request: Any) -> None:
        answer.write_header("Content-Type", "text/plain")
        answer.end(HELLO)

    app.get("/", hello)
    app.ws("/echo", {**options, "message": echo})
    app.ws("/room", {**options, "open": lambda ws: ws.subscribe(ROOM), "message": talk})
    app.listen(socketify.AppListenOptions(port=port, host="127.0.0.1"), lambda _: None)
    app.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
