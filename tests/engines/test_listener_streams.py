"""The raw listener's streams are files: what Python's library does with one, over the wire."""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
import shutil
import tarfile
import threading
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import Gate
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Callable

    from prowingen_wsgi import Request, Response

    from harness.logwatch import LogWatch
    from harness.site import ListenFixture, ServeFixture, Site

TEXT = "grün, ja\n" * 3000


# ---- writing


def write_text(body: Any) -> None:
    with io.TextIOWrapper(body, "utf-8", newline="\n") as text:
        text.write(TEXT)


def write_lines(body: Any) -> None:
    with body as file:
        file.writelines(line.encode() for line in TEXT.splitlines(keepends=True))


def write_buffered(body: Any) -> None:
    buffered = io.BufferedWriter(body)
    buffered.write(TEXT.encode())
    buffered.close()


def write_compressed(body: Any) -> None:
    with gzip.GzipFile(fileobj=body, mode="wb") as file:
        file.write(TEXT.encode())


def write_zip(body: Any) -> None:
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", TEXT)
        with archive.open("b.txt", "w") as member:
            shutil.copyfileobj(io.BytesIO(TEXT.encode()), member)


def write_tar(body: Any) -> None:
    with tarfile.open(fileobj=body, mode="w|") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = len(TEXT.encode())
        archive.addfile(member, io.BytesIO(TEXT.encode()))


def write_json(body: Any) -> None:
    with io.TextIOWrapper(body, "utf-8") as text:
        json.dump({"text": TEXT}, text)


def write_table(body: Any) -> None:
    # Dropped and not closed: what it holds is written all the same.
    csv.writer(io.TextIOWrapper(body, "utf-8", newline="")).writerows([["a", "b,"], ["é", "1"]])


def write_pickle(body: Any) -> None:
    pickle.dump(TEXT, body)


def copy(body: Any) -> None:
    shutil.copyfileobj(io.BytesIO(TEXT.encode()), body)


def unzip(data: bytes) -> str:
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    assert archive.read("a.txt") == archive.read("b.txt")
    return archive.read("a.txt").decode()


def untar(data: bytes) -> str:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        member = archive.extractfile("a.txt")
        assert member is not None
        return member.read().decode()


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (write_text, bytes.decode),
        (write_lines, bytes.decode),
        (write_buffered, bytes.decode),
        (copy, bytes.decode),
        (write_compressed, lambda data: gzip.decompress(data).decode()),
        (write_zip, unzip),
        (write_tar, untar),
        (write_json, lambda data: json.loads(data)["text"]),
        (write_pickle, pickle.loads),
    ],
    ids=lambda each: each.__name__,
)
def test_the_library_writes_an_answer(
    listen: ListenFixture, write: Callable[[Any], None], read: Callable[[bytes], str]
) -> None:
    site = listen(lambda request, response: write(response.body))
    answer = site.ask()
    assert answer.status == 200
    assert read(answer.body) == TEXT


def test_a_wrapper_that_is_dropped_has_written_all_of_it(listen: ListenFixture) -> None:
    site = listen(lambda request, response: write_table(response.body))
    assert site.ask().body.decode() == 'a,"b,"\r\né,1\r\n'


def test_a_body_that_is_written_in_a_block_has_its_length(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        with response.body as body:
            assert body.write(b"whole") == 5
            assert not body.closed
        assert body.closed
        assert response.body.closed
        assert response.is_open, "the client still waits, until the handler returns"
        with pytest.raises(ValueError, match="the response is closed"):
            body.write(b"more")
        with pytest.raises(ValueError, match="the response is closed"):
            response.status_code = 500
        body.close()

    answer = listen(handler).ask()
    assert (answer.status, answer.get("Content-Length"), answer.body) == (200, "5", b"whole")


def test_what_a_written_stream_cannot_do_is_said_as_io_says_it(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        body: Any = response.body
        assert isinstance(body, io.BufferedIOBase)
        assert (body.readable(), body.writable(), body.seekable()) == (False, True, False)
        assert not body.isatty()
        for method in ("read", "read1", "readline", "readlines", "tell", "fileno", "detach"):
            with pytest.raises(io.UnsupportedOperation, match=method):
                getattr(body, method)()
        for method in ("seek", "truncate", "readinto", "readinto1"):
            with pytest.raises(io.UnsupportedOperation, match=method):
                getattr(body, method)(0)
        body.close()
        for method in ("readable", "writable", "seekable", "isatty", "flush", "__enter__"):
            with pytest.raises(ValueError, match="the response is closed"):
                getattr(body, method)()

    assert listen(handler).ask().status == 200


# ---- an exception, and half an answer


def test_an_exception_in_the_block_is_answered_500(
    listen: ListenFixture, error_log: LogWatch
) -> None:
    def handler(request: Request, response: Response) -> None:
        with response.body as body:
            body.write(b"half an ans")
            raise RuntimeError("went wrong")

    answer = listen(handler).ask("/bad")
    assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
    error_log.wait_for("GET /bad", "went wrong")


def test_an_exception_that_the_handler_handles_leaves_the_body_open(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        try:
            with response.body:
                raise KeyError
        except KeyError:
            response.status_code = 404
            response.body.write(b"none such")

    answer = listen(handler).ask()
    assert (answer.status, answer.body) == (404, b"none such")


@pytest.mark.parametrize("wrap", [io.BufferedWriter, io.TextIOWrapper])
def test_half_an_answer_of_a_wrapper_does_not_look_whole(
    listen: ListenFixture, error_log: LogWatch, wrap: Callable[[Any], Any]
) -> None:
    def handler(request: Request, response: Response) -> None:
        with wrap(response.body) as file:
            file.write("half" if wrap is io.TextIOWrapper else b"half")
            raise RuntimeError("went wrong")  # the wrapper closes the body on its way

    with listen(handler).connect() as wire:
        wire.get()
        reply = wire.reply()
        if reply.head().status != 500:
            with pytest.raises(Truncated):
                reply.rest()
    error_log.wait_for("went wrong")


def test_an_exception_in_the_block_of_a_deferred_answer_ends_it(
    listen: ListenFixture, error_log: LogWatch
) -> None:
    kept: list[Response] = []

    def later(response: Response) -> None:
        with suppress(RuntimeError), response.body as body:
            body.write(b"half an ans")
            raise RuntimeError("went wrong")

    def handler(request: Request, response: Response) -> None:
        response.defer()
        kept.append(response)
        thread = threading.Thread(target=later, args=(response,))
        thread.start()
        thread.join()

    answer = listen(handler).ask("/bad")
    assert answer.status == 500
    error_log.wait_for("GET /bad", "went wrong")
    kept.clear()


def test_a_deferred_answer_ends_with_its_body(listen: ListenFixture) -> None:
    kept: list[Response] = []

    def handler(request: Request, response: Response) -> None:
        response.defer()
        kept.append(response)
        with response.body as body:
            body.write(b"done")
        assert not response.is_open

    assert listen(handler).ask().body == b"done"
    kept.clear()


def test_a_closed_body_is_sent_when_the_response_is_closed(listen: ListenFixture) -> None:
    gate = Gate()

    def handler(request: Request, response: Response) -> None:
        with response.body as body:
            body.write(b"done")
        response.close()
        gate.pass_through()

    site = listen(handler)
    with site.connect() as wire:
        wire.get()
        assert wire.response().body == b"done"
        gate.wait_entered()
        gate.opened.set()


# ---- reading: the listener's request and wsgi.input are one type


@pytest.fixture(params=["listener", "wsgi"])
def read_by(
    request: pytest.FixtureRequest, listen: ListenFixture, serve: ServeFixture
) -> Callable[[Callable[[Any], bytes]], Site]:
    """Serves what a function makes of a request's body, below the raw listener and below WSGI."""

    def start(read: Callable[[Any], bytes], **options: object) -> Site:
        def handler(request: Request, response: Response) -> None:
            response.body.write(read(request.body))

        def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            body = read(environ["wsgi.input"])
            start_response("200 OK", [])
            return [body]

        if request.param == "wsgi":
            return serve(app, **options)
        return listen(handler, **options)

    return start


def read_text(body: Any) -> bytes:
    return "".join(io.TextIOWrapper(body, "utf-8")).encode()


def read_buffered(body: Any) -> bytes:
    return b"".join(io.BufferedReader(body, 100))


def read_block(body: Any) -> bytes:
    with body as file:
        data: bytes = file.read()
    assert body.closed
    return data


def read_into(body: Any) -> bytes:
    data, size = bytearray(), 1
    while size:
        buffer = bytearray(4000)
        size = body.readinto(memoryview(buffer))
        assert size == 4000 or body.read(1) == b""
        data += buffer[:size]
    return bytes(data)


def read_what_comes(body: Any) -> bytes:
    data, buffer = b"", bytearray(999)
    while piece := body.read1(1000):
        assert len(piece) <= 1000
        size = body.readinto1(buffer)
        data += piece + buffer[:size]
    return data


def copy_of(body: Any) -> bytes:
    target = io.BytesIO()
    shutil.copyfileobj(body, target)
    return target.getvalue()


@pytest.mark.parametrize("buffered", [0, 1 << 20])
@pytest.mark.parametrize(
    "read", [read_text, read_buffered, read_block, read_into, read_what_comes, copy_of]
)
def test_the_library_reads_a_body(
    read_by: Any, read: Callable[[Any], bytes], buffered: int
) -> None:
    site = read_by(read, body_buffer=buffered)
    assert site.post(TEXT.encode()).body.decode() == TEXT
    assert site.ask().body == b""


def test_the_library_unpacks_a_body(read_by: Any) -> None:
    packed, archive = io.BytesIO(), io.BytesIO()
    with gzip.open(packed, "wb") as file:
        pickle.dump(TEXT, file)
    write_tar(archive)

    def read(body: Any) -> bytes:
        if body.read(1) == b"g":
            text: str = pickle.loads(gzip.GzipFile(fileobj=body).read())
            return text.encode()
        with tarfile.open(fileobj=body, mode="r|") as opened:
            return b"".join(opened.extractfile(member).read() for member in opened)  # type: ignore[union-attr]

    site = read_by(read, body_buffer=0)
    assert site.post(b"g" + packed.getvalue()).body.decode() == TEXT
    assert site.post(b"t" + archive.getvalue()).body.decode() == TEXT


def test_a_pickle_is_read_whole_though_it_comes_in_pieces(read_by: Any) -> None:
    data = pickle.dumps(TEXT)
    gate = Gate()

    def read(body: Any) -> bytes:
        gate.entered.set()
        return str(pickle.load(body) == TEXT).encode()

    site = read_by(read, body_buffer=0)
    with site.connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(data))
        wire.send(data[:500])
        gate.wait_entered()
        wire.send(data[500:])
        assert wire.response().body == b"True"


def test_text_is_read_as_it_comes(read_by: Any) -> None:
    first = threading.Event()

    def read(body: Any) -> bytes:
        text = io.TextIOWrapper(body, "utf-8")
        line = text.readline()
        first.set()
        return (line + text.read()).encode()

    site = read_by(read, body_buffer=0)
    with site.connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n")
        wire.send(b"one\n")
        assert first.wait(10), "a line is there before the rest of the body"
        wire.send(b"two\n")
        assert wire.response().body == b"one\ntwo\n"


def test_what_a_read_stream_cannot_do_is_said_as_io_says_it(read_by: Any) -> None:
    def read(body: Any) -> bytes:
        assert isinstance(body, io.BufferedIOBase)
        assert (body.readable(), body.writable(), body.seekable()) == (True, False, False)
        assert not body.isatty()
        body.flush()
        for method in ("tell", "fileno", "detach"):
            with pytest.raises(io.UnsupportedOperation, match=method):
                getattr(body, method)()
        for method in ("seek", "truncate", "write", "writelines"):
            with pytest.raises(io.UnsupportedOperation, match=method):
                getattr(body, method)(0)
        with pytest.raises(TypeError):
            body.readinto(b"read-only")
        assert not body.closed
        body.close()
        body.close()
        assert body.closed
        for method in ("read", "read1", "readline", "readable", "flush", "__enter__"):
            with pytest.raises(ValueError, match="closed file"):
                getattr(body, method)()
        return b"said"

    site = read_by(read)
    with site.connect() as wire:  # what is left of a closed body is passed over
        for _ in range(2):
            wire.post("/", TEXT.encode())
            assert wire.response().body == b"said"
