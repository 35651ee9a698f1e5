"""What an app may return: any iterable of bytes, sent in order as it yields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from harness.apps import PLAIN, App, Environ, Gate, StartResponse, answering
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture


class OldStyleSequence:
    """Iterable by __getitem__ alone, as Python's iter() allows."""

    def __getitem__(self, index: int) -> bytes:
        return [b"old ", b"style"][index]


class Sized(list[bytes]):
    """A list subclass whose iteration differs from its storage."""

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"iter", b"ated"])


# Made anew for each engine: some can be iterated over once.
BODIES: dict[str, tuple[Callable[[], Any], bytes]] = {
    "empty list": (list, b""),
    "list of one": (lambda: [b"one"], b"one"),
    "list of one empty chunk": (lambda: [b""], b""),
    "list of many": (lambda: [b"a", b"bc", b"", b"def"], b"abcdef"),
    "list of empty chunks": (lambda: [b"", b"", b""], b""),
    "empty chunk first": (lambda: [b"", b"x"], b"x"),
    "tuple": (lambda: (b"a", b"b"), b"ab"),
    "bytes-yielding iterator": (lambda: iter([b"x", b"y"]), b"xy"),
    "empty iterator": (lambda: iter([]), b""),
    "dict of bytes": (lambda: {b"k": 1}, b"k"),
    "old-style sequence": (lambda: OldStyleSequence(), b"old style"),
    "list subclass": (lambda: Sized([b"stored"]), b"iterated"),
    "thousand chunks": (
        lambda: [b"%d," % n for n in range(1000)],
        b"".join(b"%d," % n for n in range(1000)),
    ),
    "one large chunk": (lambda: [b"x" * 3_000_000], b"x" * 3_000_000),
}


@pytest.mark.parametrize(("body", "expected"), BODIES.values(), ids=BODIES.keys())
def test_iterable_is_sent_whole_and_in_order(
    serve: ServeFixture, body: Callable[[], Iterable[bytes]], expected: bytes
) -> None:
    with serve(answering(body())).connect() as wire:
        wire.get()
        response = wire.response()
        assert (response.status, response.body) == (200, expected)
        wire.get()
        assert wire.response().status == 200, "the connection should still be in step"


def test_bytes_returned_directly_are_sent_or_refused_but_never_mangled(serve: ServeFixture) -> None:
    """Iterating bytes gives ints; PEP 3333 calls that an app error, some servers are kind."""
    direct: Any = b"direct"
    response = serve(answering(direct)).ask()
    assert response.status == 500 or response.body == b"direct"


def test_generator_is_streamed_as_it_yields(serve: ServeFixture) -> None:
    gates = [Gate(), Gate()]

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"first"
        gates[0].pass_through()
        yield b"second"
        gates[1].pass_through()
        yield b"third"

    with serve(app).connect() as wire:
        wire.get()
        reply = wire.reply()
        assert reply.exactly(5) == b"first"
        gates[0].opened.set()
        assert reply.exactly(6) == b"second"
        gates[1].opened.set()
        assert reply.rest().body == b"firstsecondthird"


def test_generator_with_a_declared_length_is_streamed_too(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [*PLAIN, ("Content-Length", "10")])
        yield b"first"
        gate.pass_through()
        yield b"later"

    with serve(app).connect() as wire:
        wire.get()
        reply = wire.reply()
        assert reply.exactly(5) == b"first"
        gate.opened.set()
        assert reply.rest().body == b"firstlater"


@pytest.mark.no_http2("it has one version")
def test_generator_is_streamed_to_an_http_1_0_client(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"first"
        gate.pass_through()
        yield b"last"

    with serve(app).connect() as wire:
        wire.get(version="1.0")
        reply = wire.reply()
        assert reply.exactly(5) == b"first"
        gate.opened.set()
        assert reply.rest().body == b"firstlast"
        wire.expect_closed()


@pytest.mark.parametrize("chunk", ["text", 1, None, [b"x"]], ids=repr)
def test_first_chunk_of_another_type_gives_500(
    serve: ServeFixture, error_log: LogWatch, chunk: object
) -> None:
    response = serve(answering([chunk])).ask()  # type: ignore[list-item]
    assert response.status == 500
    error_log.wait_for("bytes")


def test_later_chunk_of_another_type_truncates_the_answer(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[Any]:
        start_response("200 OK", PLAIN)
        yield b"good"
        yield "bad"

    with serve(app).connect() as wire:
        wire.get()
        with pytest.raises(Truncated):
            wire.response()
    error_log.wait_for("bytes")


@pytest.mark.parametrize("result", [None, 5, object()], ids=["None", "int", "object"])
def test_result_that_cannot_be_iterated_gives_500(
    serve: ServeFixture, error_log: LogWatch, result: Any
) -> None:
    response = serve(answering(result)).ask()
    assert response.status == 500
    error_log.wait_for("GET /")


def _subclass_app() -> App:
    class Loud(bytes):
        def __len__(self) -> int:
            return 1_000_000

    return answering([Loud(b"plain")])


def test_bytes_subclass_cannot_lie_about_its_length(serve: ServeFixture) -> None:
    response = serve(_subclass_app()).ask()
    assert response.status == 500 or response.body == b"plain"


def test_app_may_be_any_callable(serve: ServeFixture) -> None:
    class Answer:
        """The PEP's "AppClass": calling the class is the request, iterating it the answer."""

        def __init__(self, environ: Environ, start_response: StartResponse) -> None:
            self.start = start_response

        def __iter__(self) -> Iterator[bytes]:
            self.start("200 OK", PLAIN)
            yield b"from a class"

    assert serve(Answer).ask().body == b"from a class"


class _Greeter(NamedTuple):
    greeting: bytes
    name: bytes

    def __call__(self, _environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return [self.greeting, self.name]


def test_app_may_be_a_callable_tuple(serve: ServeFixture) -> None:
    """Of several listeners, too: it is none of applications."""
    site = serve(_Greeter(b"hello ", b"world"), bind=("127.0.0.1:0", "127.0.0.1:0"))
    assert site.ask().body == b"hello world"
