"""gunicorn's access log, pre_request and post_request: a wrapper of the application, where needed.

gunicorn hands its own request and response objects to those. These have the attributes that are
read there, made from the environ when somebody asks. What is not read costs nothing, and without
a log and hooks there is no wrapper at all.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gunicorn.glogging import Logger

from .._native import ClientDisconnected
from ..originals import os, time
from .settings import is_set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Field lines whose keys in the environ have no HTTP_ (PEP 3333).
_BARE = {"CONTENT_TYPE": "CONTENT-TYPE", "CONTENT_LENGTH": "CONTENT-LENGTH"}


def observe(app: WSGIApplication, worker: Any) -> WSGIApplication:
    """The application, wrapped if the access log or a hook wants to know of requests."""
    cfg, log = worker.cfg, worker.log
    # A class with an access() of its own, as for statsd, decides there.
    logs = type(log).access is not Logger.access or log.access_log_enabled
    hooked = is_set(cfg, "pre_request") or is_set(cfg, "post_request")
    return _Observer(app, worker, logs) if logs or hooked else app


class Request:
    """What hooks and loggers read of a request of gunicorn's; other attributes can be set."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.uri: str = environ["RAW_URI"]
        self.query: str = environ["QUERY_STRING"]
        self.fragment = ""
        self.trailers: list[tuple[str, str]] = []
        self.proxy_protocol_info = None

    @cached_property
    def path(self) -> str:
        """Still percent-encoded."""
        return self.uri.partition("?")[0] if self.uri[:1] == "/" else urlsplit(self.uri).path

    @cached_property
    def version(self) -> tuple[int, int]:
        major, _, minor = self._environ["SERVER_PROTOCOL"].removeprefix("HTTP/").partition(".")
        return int(major), int(minor or 0)

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """Names in capitals, with hyphens; fields of one name are one."""
        return _fields(self._environ)

    @cached_property
    def scheme(self) -> str:
        return str(self._environ["wsgi.url_scheme"])

    @cached_property
    def remote_addr(self) -> tuple[str, int]:
        port = self._environ.get("REMOTE_PORT") or 0
        return self._environ.get("REMOTE_ADDR", ""), int(port)

    @property
    def peer_addr(self) -> tuple[str, int]:
        return self.remote_addr

    @property
    def body(self) -> Any:
        return self._environ["wsgi.input"]

    def apply_changes(self) -> None:
        """Takes over into the environ what a hook did to `headers`."""
        headers = self.__dict__.get("headers")
        if headers is None:
            return
        before = _fields(self._environ)
        if headers == before:
            return
        for name, _ in before:
            del self._environ[_key(name)]
        for name, value in headers:
            key = _key(name)
            self._environ[key] = f"{self._environ[key]},{value}" if key in self._environ else value


class Response:
    """What hooks and loggers read of a response of gunicorn's."""

    def __init__(self, request: Request) -> None:
        self.req = request
        self.status: str | None = None
        self.headers: list[tuple[str, str]] = []
        self.sent = 0

    @property
    def status_code(self) -> int | None:
        return int(self.status[:3]) if self.status else None

    @property
    def headers_sent(self) -> bool:
        return self.status is not None

    @property
    def response_length(self) -> int | None:
        """What Content-Length says."""
        for name, value in self.headers:
            if name.lower() == "content-length":
                return int(value)
        return None

    def become_failure(self) -> None:
        """What the server answers instead."""
        self.status = "500 Internal Server Error"
        self.headers = []
        self.sent = 0

    @property
    def has_body(self) -> bool:
        return self.req.method != "HEAD" and self.status_code not in (204, 304)


class _Observer:
    def __init__(self, app: WSGIApplication, worker: Any, logs: bool) -> None:
        self.app = app
        self.worker = worker
        self.logs = logs
        cfg = worker.cfg
        self._before = cfg.pre_request if is_set(cfg, "pre_request") else None
        self.after = cfg.post_request if is_set(cfg, "post_request") else None
        # Set in a child of the application's: the request that it comes back from is its parent's.
        self.is_parents = False
        os.register_at_fork(after_in_child=self._be_parents)

    def _be_parents(self) -> None:
        self.is_parents = True

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        exchange = _Exchange(self, environ, start_response)
        try:
            if self._before is not None:
                self._before(self.worker, exchange.request)
                exchange.request.apply_changes()
            result = self.app(environ, exchange.start_response)
        except BaseException as error:
            exchange.failed(error)
            exchange.log()
            exchange.end()
            raise
        return exchange.follow(result)


class _Exchange:
    """One request and its answer, while the application is in it."""

    def __init__(
        self, observer: _Observer, environ: WSGIEnvironment, start_response: StartResponse
    ) -> None:
        self._observer = observer
        self._environ = environ
        self._start_response = start_response
        self._file_wrapper = environ["wsgi.file_wrapper"]
        self._began = time.monotonic()
        self._cut = False
        self.request = Request(environ)
        self.response = Response(self.request)

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """What the application is given (PEP 3333)."""
        write = self._start_response(status, headers, *([exc_info] if exc_info else []))
        self.response.status = status
        self.response.headers = list(headers)

        def counted(data: bytes) -> None:
            write(data)
            self.response.sent += len(data)

        return counted

    def follow(self, result: Iterable[bytes]) -> Iterable[bytes]:
        """The answer's body; what is all there is left as it is, for the server to send at once."""
        if type(result) in (list, tuple):
            if all(isinstance(item, bytes) for item in result):
                self.response.sent += sum(map(len, result))
            else:
                self.refused()
        elif isinstance(result, (bytes, str)):
            self.refused()
        elif (size := self._native_size(result)) is not None:
            self.response.sent += size
        else:
            return _Body(result, self)
        self.log()
        self.end()
        return result

    def _native_size(self, result: Iterable[bytes]) -> int | None:
        """Of a file, the bytes that the server sends without reading them in Python."""
        if type(result) is not self._file_wrapper:
            return None
        size: int | None = result.native_size()  # type: ignore[attr-defined]
        return size

    def failed(self, error: BaseException) -> None:
        """The application raised; a client may just be gone."""
        self._cut = isinstance(error, ClientDisconnected)
        self.refused()

    def refused(self) -> None:
        """The server will answer 500 if nothing of the answer is out."""
        if not self.response.sent:
            self.response.become_failure()

    def log(self) -> None:
        if not self._observer.logs or self._cut or self._observer.is_parents:
            return
        if self.response.status is None:  # start_response() was not called: the server complains
            self.response.become_failure()
        length = self.response.response_length if self.response.has_body else 0
        if length is not None:  # the server sends no more
            self.response.sent = min(length, self.response.sent)
        log = self._observer.worker.log
        taken = timedelta(seconds=time.monotonic() - self._began)
        try:
            log.access(self.response, self.request, self._environ, taken)
        except Exception:  # a logger class of the user's must not cost an answer
            log.exception("Exception in the access log")

    def end(self) -> None:
        after = self._observer.after
        if after is None or self._observer.is_parents:
            return
        worker = self._observer.worker
        try:
            after(worker, self.request, self._environ, self.response)
        except Exception:  # as gunicorn does
            worker.log.exception("Exception in post_request hook")


class _Body:
    """An answer's body that is made bit by bit: counts it, and notices its end."""

    def __init__(self, result: Iterable[bytes], exchange: _Exchange) -> None:
        self._result = result
        self._exchange = exchange
        self._items: Iterator[bytes] = iter(())

    def __iter__(self) -> Iterator[bytes]:
        try:
            self._items = iter(self._result)
        except BaseException as error:
            self._exchange.failed(error)
            raise
        return self

    def __next__(self) -> bytes:
        try:
            item = next(self._items)
        except StopIteration:
            raise
        except BaseException as error:
            self._exchange.failed(error)
            raise
        if isinstance(item, bytes):
            self._exchange.response.sent += len(item)
        else:
            self._exchange.refused()
        return item

    def close(self) -> None:
        """The server calls it in any case."""
        self._exchange.log()
        try:
            if hasattr(self._result, "close"):
                self._result.close()
        finally:
            self._exchange.end()


def _fields(environ: WSGIEnvironment) -> list[tuple[str, str]]:
    return [
        (_BARE[key] if key in _BARE else key[5:].replace("_", "-"), value)
        for key, value in environ.items()
        if key in _BARE or key.startswith("HTTP_")
    ]


def _key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in _BARE else f"HTTP_{key}"
