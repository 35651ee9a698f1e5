"""A chat in a page: every line goes to everybody who has it open.

    prowingen chat:app --chdir examples

Nobody who only listens holds a thread: the lines of each are calls on the worker pool. The page
comes back by itself when the server is restarted.
"""

from __future__ import annotations

from flask import Flask, request

from prowingen_wsgi import websocket

app = Flask(__name__)
room = websocket.Room()

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Chat</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 40rem }
  #lines { list-style: none; padding: 0 }
  #lines li { border-bottom: 1px solid #ddd; padding: .25rem 0; overflow-wrap: anywhere }
  form { display: flex; gap: .5rem }
  input { flex: 1; font: inherit; padding: .4rem }
  button { font: inherit; padding: .4rem 1rem }
</style>
<h1>Chat</h1>
<p id="state" role="status">connecting…</p>
<form><input aria-label="Your line" autofocus maxlength="500"><button>Send</button></form>
<ul id="lines" aria-live="polite"></ul>
<script>
  const state = document.querySelector("#state");
  const input = document.querySelector("input");
  let socket, pause = 250;

  function connect() {
    socket = new WebSocket(location.href.replace(/^http/, "ws").replace(/[?#].*/, "") + "chat");
    socket.onopen = () => { state.textContent = "connected"; pause = 250; };
    socket.onmessage = (event) => {
      const line = document.createElement("li");
      line.textContent = event.data;
      document.querySelector("#lines").prepend(line);
    };
    socket.onclose = () => {
      state.textContent = "connection lost, trying again…";
      setTimeout(connect, pause * (0.5 + Math.random()));
      pause = Math.min(pause * 2, 10000);
    };
  }

  document.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    if (socket.readyState !== WebSocket.OPEN || !input.value) return;
    socket.send(input.value);
    input.value = "";
  };
  connect();
</script>
"""


@app.get("/")
def page() -> str:
    return PAGE


@app.get("/chat", websocket=True)  # else Werkzeug takes it for a page, and answers 400
def chat() -> str:
    websocket.accept(
        request.environ,
        on_open=joined,
        on_message=lambda _, line: room.broadcast(line),
        on_close=left,
        max_message=2000,
    )
    return ""  # the handshake is the answer


def joined(ws: websocket.WebSocket) -> None:
    room.add(ws)
    room.broadcast(f"{len(room)} here")


def left(ws: websocket.WebSocket, code: int, reason: str) -> None:
    del code, reason
    room.discard(ws)
    room.broadcast(f"{len(room)} here")
