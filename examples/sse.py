"""Server-sent events: a page with a clock that the server moves.

    prowingen sse:app --chdir examples

Each stream has a thread of its own (`--long-lived-threads`), and not one of `--threads`: pages are
served beside any number of them. A browser comes back by itself, and says what it has seen last.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import Flask, Response, request

if TYPE_CHECKING:
    from collections.abc import Iterator

app = Flask(__name__)

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Clock</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; margin: 4rem auto; text-align: center }
  #time { font-size: 4rem; font-variant-numeric: tabular-nums }
</style>
<h1>Time on the server</h1>
<p id="time" role="timer">…</p>
<p id="state" role="status">connecting…</p>
<script>
  const events = new EventSource("events");
  const state = document.querySelector("#state");
  events.onopen = () => { state.textContent = "connected"; };
  events.onerror = () => { state.textContent = "connection lost, trying again…"; };
  events.onmessage = (event) => {
    document.querySelector("#time").textContent = event.data;
    document.querySelector("#time").title = "event " + event.lastEventId;
  };
</script>
"""


@app.get("/")
def page() -> str:
    return PAGE


@app.get("/events")
def events() -> Response:
    seen = request.headers.get("Last-Event-ID", "")
    first = int(seen) + 1 if seen.isdecimal() else 0
    return Response(
        ticks(first), mimetype="text/event-stream", headers={"Cache-Control": "no-store"}
    )


def ticks(number: int) -> Iterator[str]:
    yield "retry: 500\n\n"
    while True:
        yield f"id: {number}\ndata: {time.strftime('%H:%M:%S')}\n\n"
        number += 1
        time.sleep(1)
