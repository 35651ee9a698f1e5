"""Request bodies whose length nobody declared: whole before a worker is taken, or streamed; and
what of any body is kept on the disk until then."""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import prowingen_wsgi
import pytest

from harness.apps import PLAIN, Echo, Environ, Gate, StartResponse, hello
from harness.h2wire import H2Wire
from harness.process import URL, ServerProcess, run_server
from harness.site import Site
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prowingen_wsgi import Request, Response

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture
    from harness.wire import Wire

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
LAST_CHUNK = b"0\r\n\r\n"
LINES = b"".join(b"line %d\n" % number for number in range(120_000))
"""More than stays in memory, and than is read back at once."""


def in_chunks(body: bytes, size: int = 50_000) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def post_chunked(wire: Wire, body: bytes, fields: bytes = b"Connection: close\r\n") -> Any:
    wire.send_leniently(CHUNKED + fields + b"\r\n" + in_chunks(body) + LAST_CHUNK)
    return wire.response("POST")


def length_and_hash(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", PLAIN)
    return [f"{environ.get('CONTENT_LENGTH')} {hashlib.sha256(body).hexdigest()}".encode()]


def told(body: bytes) -> bytes:
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()


def spooled(site: Site) -> int:
    return int(site.server.stats()["spooled_bytes"])


# ---- whole before a worker is taken

NO_CONTENT = pytest.mark.no_http2("a stream that ends with its head has no content")


@pytest.mark.parametrize("size", [pytest.param(0, marks=NO_CONTENT), 1, 65_536, 65_537, 1_000_000])
def test_a_chunked_body_is_given_as_one_with_a_length(serve: ServeFixture, size: int) -> None:
    app = Echo()
    body = LINES[:size] + bytes(max(0, size - len(LINES)))
    with serve(app).connect() as wire:
        seen = json.loads(post_chunked(wire, body).body)
    assert seen["body"].encode("latin-1") == body
    environ = app.environs[0]
    assert environ["CONTENT_LENGTH"] == str(size)
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ
    assert environ["wsgi.input_terminated"] is True


def test_trailers_and_extensions_are_not_counted(serve: ServeFixture) -> None:
    app = Echo()
    with serve(app).connect() as wire:
        wire.send(CHUNKED + b"\r\n3;a=b\r\nabc\r\n0\r\nX-Digest: 1\r\n\r\n")
        assert wire.response("POST").status == 200
        assert wire.ask().status == 200
    assert app.environs[0]["CONTENT_LENGTH"] == "3"
    assert "CONTENT_LENGTH" not in app.environs[1], "one request's length is not the next one's"


def test_a_long_chunked_body_takes_no_worker_until_it_is_whole(serve: ServeFixture) -> None:
    called: list[str] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        called.append(environ["REQUEST_METHOD"])
        return length_and_hash(environ, start_response)

    body = LINES * 8
    site = serve(app, threads=1)
    with site.connect() as wire:
        wire.send(CHUNKED + b"\r\n" + in_chunks(body))
        assert eventually(lambda: spooled(site) > 2_000_000)
        assert site.ask().status == 200
        assert called == ["GET"]
        wire.send(LAST_CHUNK)
        assert wire.response("POST").body == told(body)
    assert eventually(lambda: spooled(site) == 0)


def test_it_reads_as_a_binary_file(serve: ServeFixture) -> None:
    """Reads that fall on no border of what is in memory or is read back at once."""
    reads: list[Callable[[Any], object]] = [
        lambda file: list(file),
        lambda file: file.readlines(),
        lambda file: (file.readline(), file.read(300_000), file.readline(), file.read()),
        lambda file: [file.read(70_001) for _ in range(10)],
        lambda file: (file.read(), file.read(), file.readline()),
    ]
    expected = [read(io.BytesIO(LINES)) for read in reads]
    left = iter(reads)
    seen: list[object] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(next(left)(environ["wsgi.input"]))
        return hello(environ, start_response)

    with serve(app).connect() as wire:
        for _ in reads:
            assert post_chunked(wire, LINES, b"").status == 200
    assert seen == expected


def test_requests_behind_a_spooled_body_are_answered_in_order(serve: ServeFixture) -> None:
    with serve(Echo()).connect() as wire:
        get = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
        wire.send(get % 1 + CHUNKED + b"\r\n" + in_chunks(LINES) + LAST_CHUNK + get % 2)
        assert json.loads(wire.response().body)["environ"]["PATH_INFO"] == "/1"
        assert len(json.loads(wire.response("POST").body)["body"]) == len(LINES)
        assert json.loads(wire.response().body)["environ"]["PATH_INFO"] == "/2"


def test_a_body_that_never_ends_reaches_no_application(serve: ServeFixture) -> None:
    app = Echo()
    site = serve(app, body_timeout=0.3)
    with site.connect() as wire:
        wire.send(CHUNKED + b"\r\n" + in_chunks(LINES))
        response = wire.response("POST")
        assert response.status == 408
        wire.expect_over(response)
    assert eventually(lambda: spooled(site) == 0)
    assert not app.environs


def test_a_body_whose_client_leaves_reaches_no_application(serve: ServeFixture) -> None:
    app = Echo()
    site = serve(app)
    with site.connect() as wire:
        wire.send(CHUNKED + b"\r\n" + in_chunks(LINES))
        assert eventually(lambda: spooled(site) > 0)
        wire.reset()
    assert eventually(lambda: spooled(site) == 0), "its file goes with the client"
    assert not app.environs


def test_the_raw_listener_is_given_the_same(engine: str) -> None:
    seen: list[tuple[list[tuple[str, str]], bytes]] = []

    def handler(request: Request, response: Response) -> None:
        seen.append((request.headers.items(), request.body.read()))

    server = prowingen_wsgi.create_server(handler, engine=engine)
    server.add_address("127.0.0.1", 0)
    with server, Site(server).connect() as wire:
        assert post_chunked(wire, LINES).status == 200
    fields, body = seen[0]
    assert body == LINES
    assert ("Content-Length", str(len(LINES))) in fields
    assert "transfer-encoding" not in [name.lower() for name, _ in fields]


@pytest.mark.no_http2("it speaks HTTP/2 by itself")
def test_http2_without_a_length_is_given_one(serve: ServeFixture) -> None:
    app = Echo()
    with H2Wire(serve(app, http="2")) as wire:
        for body in (LINES, b"a=1", b""):
            assert wire.ask("/", "POST", body=body).status == 200
        stream = wire.start("POST", "/", [("expect", "100-continue")], end=False)
        while not wire.responses[stream].informational:
            wire.pump()
        wire.send(stream, b"asked for", end=True)
        assert wire.response(stream).status == 200
    lengths = [environ.get("CONTENT_LENGTH") for environ in app.environs]
    assert lengths == [str(len(LINES)), "3", None, "9"]


# ---- 100-continue


def test_the_server_asks_for_a_body_that_has_to_be_whole(serve: ServeFixture) -> None:
    app = Echo()
    with serve(app).connect() as wire:
        wire.send(CHUNKED + b"Expect: 100-continue\r\n\r\n")
        reply = wire.reply("POST")
        assert reply.continued() == 100
        assert not app.environs
        wire.send(in_chunks(LINES) + LAST_CHUNK)
        response = reply.rest()
        assert response.informational == [100]
        assert len(json.loads(response.body)["body"]) == len(LINES)


@pytest.mark.no_http2("streams are not pipelined")
def test_it_asks_behind_the_answers_before(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "GET":
            gate.pass_through()
        return length_and_hash(environ, start_response)

    with serve(app).connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        gate.wait_entered()
        wire.send(CHUNKED + b"Expect: 100-continue\r\n\r\n")
        assert wire.is_silent(0.1), "an interim answer would be taken for the first request's"
        gate.opened.set()
        assert wire.response().status == 200
        reply = wire.reply("POST")
        assert reply.continued() == 100
        wire.send(in_chunks(b"body") + LAST_CHUNK)
        assert reply.rest().body == told(b"body")


# ---- streamed, as it is asked for


def test_stream_lets_the_application_answer_while_it_reads(serve: ServeFixture) -> None:
    seen: list[Environ] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(dict(environ))
        start_response("200 OK", PLAIN)
        yield from environ["wsgi.input"]

    with serve(app, chunked_body="stream", body_buffer=4).connect() as wire:
        wire.send(CHUNKED + b"\r\n" + in_chunks(b"first\n"))
        reply = wire.reply("POST")
        assert reply.exactly(6) == b"first\n"
        wire.send(in_chunks(b"last\n") + LAST_CHUNK)
        assert reply.rest().body.endswith(b"last\n")
    assert "CONTENT_LENGTH" not in seen[0]
    assert "HTTP_TRANSFER_ENCODING" not in seen[0], "what the application reads is not in chunks"


def test_stream_gives_a_length_to_what_came_whole_in_time(serve: ServeFixture) -> None:
    app = Echo()
    with serve(app, chunked_body="stream").connect() as wire:
        assert post_chunked(wire, b"a=1").status == 200
    assert app.environs[0]["CONTENT_LENGTH"] == "3"


# ---- when there is no room


def expect_507(site: Site, body: bytes = LINES) -> None:
    with site.connect() as wire:
        response = post_chunked(wire, body)
        assert response.status == 507
        wire.expect_over(response)


@contextmanager
def limited(what: int, value: int) -> Iterator[None]:
    before = resource.getrlimit(what)
    resource.setrlimit(what, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, before)


def test_all_bodies_together_stay_within_max_spool(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    app = Echo()
    site = serve(app, max_spool=len(LINES) + 100_000)
    with site.connect() as wire:
        wire.send(CHUNKED + b"\r\n" + in_chunks(LINES))
        assert eventually(lambda: spooled(site) > len(LINES) - 70_000)
        expect_507(site)
        assert not app.environs, "a body is whole, or never seen"
        wire.send(LAST_CHUNK)
        assert wire.response("POST").status == 200
    error_log.wait_for("ERROR", "max_spool")
    with site.connect() as wire:
        assert post_chunked(wire, LINES).status == 200, "there is room again"
    assert site.server.stats()["requests_refused"] == 1


def test_a_file_that_cannot_grow_refuses_its_body(serve: ServeFixture, error_log: LogWatch) -> None:
    site = serve(length_and_hash)
    with limited(resource.RLIMIT_FSIZE, 200_000):
        expect_507(site)
    error_log.wait_for("ERROR", tempfile.gettempdir(), os.strerror(27))
    with site.connect() as wire:
        assert post_chunked(wire, LINES).body == told(LINES)


def test_a_directory_that_goes_away_refuses_bodies_without_a_length_alone(
    serve: ServeFixture, error_log: LogWatch, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    site = serve(length_and_hash, spool_dir=str(folder))
    folder.rmdir()
    expect_507(site)
    error_log.wait_for("ERROR", str(folder), "No such file or directory")
    assert site.post(LINES).body == told(LINES), "the application can read it as it comes"
    with site.connect() as wire:
        assert post_chunked(wire, b"a=1").body == told(b"a=1"), "a short one needs no file"
    folder.mkdir()
    with site.connect() as wire:
        assert post_chunked(wire, LINES).body == told(LINES)


@pytest.mark.parametrize(
    ("chunked_body", "consequence"),
    [("spool", "those without a length are answered 507"), ("stream", "reads it as it comes")],
)
def test_the_log_says_what_becomes_of_bodies_that_no_file_takes(
    serve: ServeFixture,
    error_log: LogWatch,
    tmp_path: Path,
    chunked_body: str,
    consequence: str,
) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    site = serve(
        length_and_hash, spool_dir=str(folder), chunked_body=chunked_body, body_buffer=2**21
    )
    folder.rmdir()
    assert site.post(LINES).body == told(LINES)
    error_log.wait_for("ERROR", str(folder), consequence)


@pytest.mark.parametrize("chunked_body", ["spool", "stream"])
def test_no_temporary_directory_is_said_where_bodies_are_limited_by_it(
    engine: str, chunked_body: str
) -> None:
    # Read-only, and not hidden: this clone may be in one of them.
    close = "mount --bind $each $each && mount -o remount,bind,ro $each || exit"
    shut = f"for each in /tmp /var/tmp; do {close}; done"
    alone = ["unshare", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*alone, shut], check=False).returncode:
        pytest.skip("this machine mounts no file system")
    command = [sys.executable, "-m", "prowingen_wsgi", "apps.plain:app", "--bind", "127.0.0.1:0"]
    command += ["--engine", engine, "--chunked-body", chunked_body]
    environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
    server = ServerProcess([*alone, f'{shut}; exec "$0" "$@"', *command], environment)
    try:
        server.wait_for_line(URL)
        server.signal()
        assert server.wait() == 0
        said = "there is no temporary directory" in server.log
        assert said == (chunked_body == "spool")
    finally:
        server.end()


def test_no_descriptor_left_refuses_a_body(serve: ServeFixture, error_log: LogWatch) -> None:
    site = serve(length_and_hash)
    with site.connect() as wire:
        wire.ask()
        free = os.open(os.devnull, os.O_RDONLY)
        os.close(free)
        with limited(resource.RLIMIT_NOFILE, free):
            assert post_chunked(wire, LINES).status == 507
    error_log.wait_for("ERROR", "Too many open files")


def test_a_body_beyond_max_body_is_refused_for_its_size(serve: ServeFixture) -> None:
    site = serve(length_and_hash, max_body=200_000)
    with site.connect() as wire:
        response = post_chunked(wire, LINES)
        assert response.status == 413
        wire.expect_over(response)
    assert eventually(lambda: spooled(site) == 0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or unmount is None:
        pytest.skip("only root can mount a file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run([mount, "-t", "tmpfs", "-o", "size=4m", "none", folder], check=False)
    if made.returncode != 0:
        pytest.skip("this machine mounts no file system")
    yield folder
    subprocess.run([unmount, folder], check=True)


def test_bodies_leave_as_much_of_the_disk_free_as_they_take(
    engine: str, small_disk: Path, error_log: LogWatch
) -> None:
    with prowingen_wsgi.serve(
        length_and_hash, engine=engine, bind="127.0.0.1:0", spool_dir=str(small_disk)
    ) as server:
        site = Site(server)
        with site.connect() as wire:
            assert post_chunked(wire, LINES).body == told(LINES)
        expect_507(site, LINES * 4)
        error_log.wait_for("ERROR", "leave free")
        state = os.statvfs(small_disk)
        assert state.f_bavail * 2 >= state.f_blocks


def test_a_full_disk_refuses_bodies(engine: str, small_disk: Path, error_log: LogWatch) -> None:
    with prowingen_wsgi.serve(
        length_and_hash,
        engine=engine,
        bind="127.0.0.1:0",
        spool_dir=str(small_disk),
        max_spool="1GiB",
    ) as server:
        site = Site(server)
        expect_507(site, LINES * 4)
        error_log.wait_for("ERROR", "No space left on device")
        assert site.post(LINES * 4).body == told(LINES * 4)


@pytest.mark.parametrize("options", [["--check"], [], ["--workers", "1"]])
def test_a_directory_that_cannot_be_used_is_an_error_at_the_start(
    engine: str, options: list[str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "prowingen_wsgi", "apps.plain:app", "--engine", engine]
    command += ["--bind", "127.0.0.1:0", "--spool-dir", str(tmp_path / "nowhere"), *options]
    tests = Path(__file__).resolve().parents[1]
    ended = subprocess.run(
        command, cwd=tests, capture_output=True, text=True, check=False, timeout=20
    )
    assert ended.returncode != 0
    assert "spool_dir" in ended.stderr
    assert "No such file or directory" in ended.stderr
    assert "Traceback" not in ended.stderr


# ---- memory


def bodies_spooled(site: Site) -> int:
    return int(site.server.stats()["bodies_spooled"])


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_uploads_of_usual_size_need_no_file(serve: ServeFixture, chunked: bool) -> None:
    site = serve(length_and_hash)
    body = LINES[:1_000_000]
    for _ in range(20):  # more than all bodies together may hold: each gives it back
        with site.connect() as wire:
            if chunked:
                assert post_chunked(wire, body).body == told(body)
            else:
                wire.post("/", body)
                assert wire.response("POST").body == told(body)
    assert bodies_spooled(site) == 0


def test_those_who_stop_use_up_what_bodies_share_and_no_more(serve: ServeFixture) -> None:
    site = serve(length_and_hash)
    wires = [site.connect() for _ in range(30)]
    for wire in wires:
        wire.send(CHUNKED + b"\r\nf4240\r\n" + bytes(999_000))
    assert eventually(lambda: spooled(site) > 13 * 900_000)
    assert site.server.stats()["memory_used"] < (16 << 20) + 30 * (128 << 10)
    with site.connect() as wire:
        assert post_chunked(wire, LINES[:1_000_000]).body == told(LINES[:1_000_000])
    before = bodies_spooled(site)
    assert before >= 14, "the others and the upload"
    for wire in wires:
        wire.close()
    assert eventually(lambda: site.server.stats()["memory_used"] == 0)
    with site.connect() as wire:
        assert post_chunked(wire, LINES[:1_000_000]).body == told(LINES[:1_000_000])
    assert bodies_spooled(site) == before, "it is given back"


def test_45_mb_in_chunks_arrive_unharmed_in_little_memory(engine: str) -> None:
    piece = os.urandom(1 << 20)
    with run_server("apps.plain:app", engine) as server, server.connect() as wire:
        wire.post("/upload", bytes(1 << 20))
        assert wire.response().status == 200
        before = server.resident_kib("VmHWM")
        wire.send(CHUNKED.replace(b"/ ", b"/upload ", 1) + b"\r\n")
        for _ in range(45):
            wire.send(in_chunks(piece))
        wire.send(LAST_CHUNK)
        assert wire.response("POST").body == b"%d" % (45 << 20)
        assert server.resident_kib("VmHWM") - before < 16 << 10


@pytest.mark.parametrize(
    "head",
    [
        CHUNKED + b"\r\nf4240\r\n",
        b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1040000\r\n\r\n",
        b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n",
    ],
    ids=["chunked", "buffered", "streamed"],
)
def test_bodies_that_stop_hold_little_memory(engine: str, head: bytes) -> None:
    """A megabyte of each has come, so that none has taken a worker; 16 MiB they share."""
    senders = 100
    with run_server("apps.plain:app", engine) as server:
        with server.connect() as wire:
            wire.get("/")
            assert wire.response().status == 200
        before = server.resident_kib()
        wires = [server.connect() for _ in range(senders)]
        for wire in wires:
            wire.send(head + bytes(999_000))
        with server.connect() as wire:  # read behind all of them
            wire.get("/")
            assert wire.response().status == 200
        grown = server.resident_kib() - before
        for wire in wires:
            wire.close()
    assert grown < 40 << 10, f"{grown >> 10} MiB for {senders} bodies"


def test_no_program_that_the_application_starts_has_the_file(serve: ServeFixture) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc")
    inheritable: list[bool] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        for link in descriptors.iterdir():
            with suppress(OSError):  # the listing's own
                file = os.fstat(int(link.name))
                if file.st_nlink == 0 and file.st_size > len(LINES) // 2:
                    inheritable.append(os.get_inheritable(int(link.name)))
        return length_and_hash(environ, start_response)

    with serve(app).connect() as wire:
        assert post_chunked(wire, LINES).body == told(LINES)
    assert inheritable == [False]


def test_other_requests_are_served_while_bodies_are_written(serve: ServeFixture) -> None:
    site = serve(length_and_hash, threads=2)
    answers: list[bytes] = []

    def upload() -> None:
        with site.connect() as wire:
            answers.append(post_chunked(wire, LINES * 8).body)

    senders = [threading.Thread(target=upload) for _ in range(8)]
    for sender in senders:
        sender.start()
    for _ in range(20):
        assert site.ask().status == 200
    for sender in senders:
        sender.join()
    assert answers == [told(LINES * 8)] * len(senders)
