"""A small Flask application that shows what a server has to do well.

    ./bootstrap.sh serve                     from the repository
    prowingen flask_app:app                  from this folder, with the package installed

Then open http://127.0.0.1:8000.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import threading
import time
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, render_template_string, request, send_file, stream_with_context

if TYPE_CHECKING:
    from collections.abc import Iterator

app = Flask(__name__)

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto }
  code { background: #8882; padding: .1em .3em; border-radius: .2em }
  td { padding-right: 1.5rem; vertical-align: top }
</style>
<h1>{{ title }}</h1>
{{ content | safe }}
</html>
"""

HOME = """\
<p>This page came from <code>examples/flask_app.py</code>, served by
<code>{{ software }}</code> in worker thread <code>{{ thread }}</code>.</p>
<table>
  <tr><td><a href="{{ url_for('about') }}">/api/about</a></td><td>a JSON answer</td></tr>
  <tr><td><a href="{{ url_for('clock') }}">/clock</a></td>
      <td>an answer that is streamed: one line a second, for five seconds</td></tr>
  <tr><td><a href="{{ url_for('download') }}">/download</a></td>
      <td>a file of 8 MiB, or any range of it</td></tr>
  <tr><td>/upload</td><td>
    <form action="{{ url_for('upload') }}" method="post" enctype="multipart/form-data">
      <input type="file" name="file" required> <button>Upload</button>
    </form></td></tr>
</table>
"""

UPLOADED = """\
<table>
  <tr><td>name</td><td>{{ name }}</td></tr>
  <tr><td>bytes</td><td>{{ size }}</td></tr>
  <tr><td>SHA-256</td><td><code>{{ digest }}</code></td></tr>
</table>
<p><a href="{{ url_for('home') }}">Back</a></p>
"""


def page(title: str, template: str, **values: object) -> str:
    content = render_template_string(template, **values)
    return render_template_string(PAGE, title=title, content=content)


@app.get("/")
def home() -> str:
    return page(
        "It works",
        HOME,
        software=request.environ["SERVER_SOFTWARE"],
        thread=threading.current_thread().name,
    )


@app.get("/api/about")
def about() -> dict[str, Any]:
    return {
        "server": request.environ["SERVER_SOFTWARE"],
        "python": platform.python_version(),
        "process": os.getpid(),
        "thread": threading.current_thread().name,
        "you": {"address": request.remote_addr, "agent": str(request.user_agent)},
    }


@app.get("/clock")
def clock() -> Response:
    def lines() -> Iterator[str]:
        for second in range(5):
            if second:
                time.sleep(1)
            yield time.strftime("%H:%M:%S\n")

    return Response(stream_with_context(lines()), mimetype="text/plain")


@app.get("/download")
def download() -> Response:
    content = io.BytesIO(b"".join(b"%07d\n" % number for number in range(1024 * 1024)))
    return send_file(
        content, mimetype="text/plain", download_name="numbers.txt", as_attachment=True
    )


@app.post("/upload")
def upload() -> str:
    file = request.files["file"]
    digest = hashlib.sha256()
    size = 0
    # Read in parts: however long the file is, only one of them is in memory.
    while part := file.stream.read(1 << 16):
        digest.update(part)
        size += len(part)
    return page("Uploaded", UPLOADED, name=file.filename, size=size, digest=digest.hexdigest())
