"""The applications whose requests' instructions are counted, and what they are asked."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

MODULE = "counted_app"


@dataclass(frozen=True)
class Application:
    source: str
    """Of a module with `app`."""
    path: str
    end: bytes
    """How an answer ends."""
    requests: int = 50
    """Of a window that is counted: fewer where each takes much, so that windows stay short."""
    needs: tuple[str, ...] = ()
    """Distributions: another version of theirs takes other instructions."""

    @property
    def question(self) -> bytes:
        return f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode()


HELLO = Application(
    dedent("""
        def app(environ, start_response):
            headers = [("Content-Type", "text/plain"), ("Content-Length", "5")]
            start_response("200 OK", headers)
            return [b"hello"]
    """),
    path="/",
    end=b"hello",
)

FLASK = Application(
    dedent("""
        from flask import Flask, jsonify, request

        app = Flask(__name__)

        @app.get("/users/<int:user>/orders")
        def orders(user):
            page = request.args.get("page", 1, type=int)
            found = [{"id": 100 * page + i, "total": 9.5 * i} for i in range(5)]
            return jsonify(user=f"user {user}", page=page, orders=found)
    """),
    path="/users/42/orders?page=3",
    end=b'"user":"user 42"}\n',
    requests=10,
    needs=("flask", "werkzeug"),
)

APPLICATIONS = {"hello": HELLO, "flask": FLASK}
