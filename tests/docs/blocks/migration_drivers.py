"""What uses the Python blocks of the pages about coming from other servers."""

from __future__ import annotations

import os
import signal
import sys
import threading
from queue import SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING, Any

import prowingen_wsgi

from .drivers import get, hello, serving
from .run import drives

if TYPE_CHECKING:
    from .run import Run


def _mounts(run: Run) -> None:
    """Below the prefix the page's application answers, and nothing does beside it."""
    shop = ModuleType("shop")
    shop.app = paths  # type: ignore[attr-defined]
    sys.modules["shop"] = shop
    with serving(run()["application"]) as url:
        assert get(f"{url}/shop/cart") == "/shop and /cart"
        assert "Not Found" in get(f"{url}/cart")


def paths(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']} and {environ['PATH_INFO']}".encode()]


drives("from_uwsgi", "DispatcherMiddleware(NotFound()")(_mounts)
drives("from_granian", "DispatcherMiddleware(NotFound()")(_mounts)


@drives("from_waitress", "prowingen_wsgi.serve(app")
def serves_until_it_is_told_to_end(run: Run) -> None:
    """The block is over when the signal comes, which is sent once a request has been answered."""
    servers: SimpleQueue[prowingen_wsgi.Server] = SimpleQueue()
    heard: list[str] = []
    run_until_told = prowingen_wsgi.Server.run

    def asked(server: prowingen_wsgi.Server) -> Any:
        return run_until_told(server, on_start=lambda: servers.put(server))

    def ask() -> None:
        heard.append(get(servers.get().addresses[0]))
        os.kill(os.getpid(), signal.SIGTERM)

    prowingen_wsgi.Server.run = asked  # type: ignore[method-assign, assignment]
    client = threading.Thread(target=ask, daemon=True)
    client.start()
    run(app=hello)
    client.join()
    assert heard == ["Hello\n"]
