"""As its users begin a module of eventlet's."""

import eventlet

eventlet.monkey_patch()

import time  # noqa: E402

from flask import Flask  # noqa: E402

app = Flask(__name__)


@app.get("/")
def index() -> str:
    time.sleep(0.05)
    return "slept"
