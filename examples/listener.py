"""A chat on the raw listener: everybody who listens waits without costing a thread.

python examples/listener.py              then, from other terminals:
curl -N http://127.0.0.1:9001/listen     prints what is said, until Ctrl-C
curl -d "Hello" http://127.0.0.1:9001/say
"""

from __future__ import annotations

import threading

import prowingen_wsgi
from prowingen_wsgi import ClientDisconnected, Request, Response


class Chat:
    """Called with each request. Keeps the responses of those who listen, to write to later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Response] = []

    def __call__(self, request: Request, response: Response) -> None:
        response.headers["Content-Type"] = "text/plain; charset=utf-8"
        if request.path_and_query == "/listen":
            response.body.flush()
            response.defer()
            with self._lock:
                self._listeners.append(response)
        elif request.path_and_query == "/say" and request.method == "POST":
            heard = self._say(request.body.read())
            response.body.write(b"heard by %d\n" % heard)
        else:
            response.status_code = 404
            response.body.write(b"POST to /say, or GET /listen\n")

    def _say(self, text: bytes) -> int:
        with self._lock:
            self._listeners = [each for each in self._listeners if self._tell(each, text)]
            return len(self._listeners)

    def _tell(self, listener: Response, text: bytes) -> bool:
        try:
            listener.body.write(text + b"\n")
            listener.body.flush()
        except ClientDisconnected:
            listener.close()
            return False
        return True

    def close(self) -> None:
        """Ends everybody's answer, so that the server can stop."""
        with self._lock:
            for listener in self._listeners:
                listener.close()


def main() -> None:
    chat = Chat()
    server = prowingen_wsgi.create_server(chat, graceful_timeout=1)
    server.add_address("127.0.0.1", 9001)
    print("http://127.0.0.1:9001, Ctrl-C ends it")
    server.run()
    chat.close()


if __name__ == "__main__":
    main()
