"""A Flask app of the usual kind: forms, uploads, downloads, streams, sessions, redirects."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, redirect, request, send_file, session, url_for

if TYPE_CHECKING:
    from collections.abc import Iterator

app = Flask(__name__)
app.secret_key = "for tests alone"
CONTENT = bytes(range(256)) * 4096


@app.get("/")
def index() -> str:
    return "hello"


@app.get("/hints")
def hints() -> str:
    request.environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload; as=style")])
    return "hinted"


@app.route("/echo", methods=["GET", "POST", "PUT", "DELETE"])
def echo() -> Any:
    return jsonify(
        method=request.method,
        args=request.args.to_dict(),
        form=request.form.to_dict(),
        json=request.get_json(silent=True),
        host=request.host,
        path=request.path,
    )


@app.post("/upload")
def upload() -> Any:
    file = request.files["file"]
    data = file.read()
    return jsonify(
        name=file.filename,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        note=request.form["note"],
    )


@app.get("/download")
def download() -> Any:
    return send_file(io.BytesIO(CONTENT), "application/octet-stream", conditional=True)


@app.get("/file")
def file() -> Any:
    return send_file(Path(__file__).resolve(), "text/x-python", conditional=True)


@app.get("/stream")
def stream() -> Response:
    def generate() -> Iterator[str]:
        for number in range(100):
            yield f"line {number}\n"

    return Response(generate(), mimetype="text/plain")


@app.get("/count")
def count() -> str:
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@app.route("/moved", methods=["GET", "POST"])
def moved() -> Any:
    return redirect(url_for("echo", via="moved"), code=303)


@app.get("/name/<path:name>")
def name(name: str) -> str:
    return name


@app.get("/error")
def error() -> str:
    raise RuntimeError("as asked for")
