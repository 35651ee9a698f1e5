"""Applications whose views fork: the path says how, the child's id is in a field of the answer."""

from __future__ import annotations

import multiprocessing
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prowingen_wsgi import Request, Response


Environ = dict[str, Any]
StartResponse = Callable[..., Any]

# Longer than any test; whoever lives so long is ended by its test.
LONG = 60.0


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    way = environ["PATH_INFO"].strip("/")
    answer: Iterable[bytes] = WAYS[way](environ, start_response)
    return answer


def _answer(start_response: StartResponse, child: int, body: Iterable[bytes] = (b"parent",)) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Child", str(child))])
    return body


def no_fork(_environ: Environ, start_response: StartResponse) -> Any:
    return _answer(start_response, 0)


def comes_back(_environ: Environ, start_response: StartResponse) -> Any:
    return _answer(start_response, os.fork())


def returns_a_generator(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    def pieces() -> Iterator[bytes]:
        yield str(os.fork()).encode()

    start_response("200 OK", [("Content-Type", "text/plain")])
    return pieces()


def yields_nothing_for_ever(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b" "
    child = os.fork()
    while child == 0:
        yield b""
    yield str(child).encode()


class _ForksInClose:
    def __iter__(self) -> Iterator[bytes]:
        yield b"parent"

    def close(self) -> None:
        os.fork()


def forks_in_close(_environ: Environ, start_response: StartResponse) -> Any:
    return _answer(start_response, 0, _ForksInClose())


def raises(_environ: Environ, start_response: StartResponse) -> Any:
    child = os.fork()
    if child == 0:
        raise ValueError("not\nmine")
    return _answer(start_response, child)


def exits(environ: Environ, start_response: StartResponse) -> Any:
    child = os.fork()
    if child == 0:
        sys.exit(int(environ["QUERY_STRING"]))
    _, status = os.waitpid(child, 0)
    return _answer(start_response, child, [str(os.waitstatus_to_exitcode(status)).encode()])


def exits_with_text(_environ: Environ, start_response: StartResponse) -> Any:
    child = os.fork()
    if child == 0:
        sys.exit("enough")
    _, status = os.waitpid(child, 0)
    return _answer(start_response, child, [str(os.waitstatus_to_exitcode(status)).encode()])


def writes(_environ: Environ, start_response: StartResponse) -> Any:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    child = os.fork()
    write(str(child).encode())
    if child == 0:
        time.sleep(LONG)
    return []


def hints(environ: Environ, start_response: StartResponse) -> Any:
    child = os.fork()
    environ["wsgi.early_hints"]([("X-Child", str(child))])
    if child == 0:
        time.sleep(LONG)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(child).encode()]


def sets_trailers(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    child = os.fork()
    environ["prowingen.send_trailers"]([("X-Child", str(child))])
    if child == 0:
        time.sleep(LONG)
    return [str(child).encode()]


def reads(environ: Environ, start_response: StartResponse) -> Any:
    child = os.fork()
    body = environ["wsgi.input"].read()
    if child == 0:
        time.sleep(LONG)
    return _answer(start_response, child, [body])


def forkpty(_environ: Environ, start_response: StartResponse) -> Any:
    child, terminal = pty.fork()
    said = b""
    if child != 0:
        try:
            while piece := os.read(terminal, 4096):
                said += piece
        except OSError:  # its end, on Linux
            pass
        os.close(terminal)
    return _answer(start_response, child, [said])


def lives_on(_environ: Environ, start_response: StartResponse) -> Any:
    """As a job that the application starts and does not wait for; nobody reads what it says."""
    child = os.fork()
    if child == 0:
        for stream in (1, 2):
            os.dup2(0, stream)
        time.sleep(LONG)
        os._exit(0)
    return _answer(start_response, child)


def job(_environ: Environ, start_response: StartResponse) -> Any:
    """A child of multiprocessing's, which ends by itself; what it found."""
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=lambda: results.put(_sockets()))
    process.start()
    found = results.get()
    process.join()
    return _answer(start_response, process.pid or 0, [f"{process.exitcode} {found}".encode()])


def process(_environ: Environ, start_response: StartResponse) -> Any:
    return _answer(start_response, 0, [str(os.getpid()).encode()])


def files(_environ: Environ, start_response: StartResponse) -> Any:
    """The paths of a child's descriptors."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, "\n".join(paths()).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as found:
        return _answer(start_response, child, [found.read()])


def paths() -> list[str]:
    """Of this process's open files; without /proc's own."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(each.readlink()))
    return [path for path in found if path.startswith("/") and not path.startswith("/proc/")]


def terminated(_environ: Environ, start_response: StartResponse) -> Any:
    """A child that is told to end by SIGTERM, as Process.terminate() does."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(LONG,))
    process.start()
    process.terminate()
    process.join(10)
    code = process.exitcode
    process.kill()
    return _answer(start_response, process.pid or 0, [str(code).encode()])


def executes(_environ: Environ, start_response: StartResponse) -> Any:
    """A program that is given every descriptor that it can get; its sockets."""
    done = subprocess.run(
        ["ls", "-l", "/proc/self/fd"], close_fds=False, capture_output=True, check=True
    )
    return _answer(start_response, 0, [b"%d" % done.stdout.count(b"socket:")])


def in_a_thread(_environ: Environ, start_response: StartResponse) -> Any:
    """A thread of the application's forks, and its child writes the answer too."""
    children: list[int] = []
    write = start_response("200 OK", [("Content-Type", "text/plain")])

    def fork() -> None:
        children.append(os.fork())
        write(b"parent ")

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    return [str(children[0]).encode()]


def cut(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """An answer that breaks off while a child of another request lives."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"some"
    raise RuntimeError("broken off")


def _sockets() -> list[str]:
    """Which of this process's descriptors are sockets."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing's own
            found.append(str(each.readlink()))
    return [target for target in found if target.startswith("socket:")]


def handler(request: Request, response: Response) -> None:
    """For create_server: the same of the raw listener."""
    way = request.path_and_query.strip("/")
    if way == "no_fork":
        response.body.write(b"parent")
        return
    if way == "deferred":
        response.defer()
    child = os.fork()
    if way == "raises" and child == 0:
        raise ValueError("not mine")
    if way == "exits" and child == 0:
        sys.exit(7)
    if way == "reads":
        request.body.read()
    response.headers["X-Child"] = str(child)
    response.body.write(b"parent")
    if way == "flushes":
        response.body.flush()
        if child == 0:
            time.sleep(LONG)
    if way == "deferred":
        response.close()


WAYS: dict[str, Callable[[Environ, StartResponse], Any]] = {
    each.__name__: each
    for each in (
        no_fork,
        comes_back,
        returns_a_generator,
        yields_nothing_for_ever,
        forks_in_close,
        raises,
        exits,
        exits_with_text,
        writes,
        hints,
        sets_trailers,
        reads,
        forkpty,
        lives_on,
        job,
        process,
        files,
        terminated,
        executes,
        in_a_thread,
        cut,
    )
}


def main(interface: str, engine: str, bind: str = "127.0.0.1:0") -> None:
    """Serves from within a program, until SIGTERM; `bind`: what serves by WSGI."""
    import prowingen_wsgi

    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    if interface == "listener":
        server: Any = prowingen_wsgi.create_server(handler, engine=engine)
        server.add_address("127.0.0.1", 0)
        server.start()
    else:
        server = prowingen_wsgi.serve(app, bind, engine=engine)
    with server:
        print(*server.addresses, flush=True)
        stopped.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
