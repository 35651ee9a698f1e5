"""What one client sends does not become another's answer: requests that mean to deceive a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.pages import KEPT, Pages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import StartResponse
    from harness.site import ServeFixture, Site
    from harness.wire import Response, Wire

SIZE = "1MiB"


class Links(Pages):
    """Makes its links of what the request says, as frameworks do."""

    def answer(self, number: int, start_response: StartResponse) -> Iterable[bytes]:
        start_response(self.status, self.fields)
        environ = self.environs[-1]
        host = environ.get("HTTP_X_FORWARDED_HOST") or environ.get("HTTP_HOST")
        host = host or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        scheme = environ.get("HTTP_X_FORWARDED_PROTO") or environ["wsgi.url_scheme"]
        return [f"{scheme}://{host}{environ['SCRIPT_NAME']}{environ['PATH_INFO']}".encode()]


@pytest.fixture
def site(serve: ServeFixture) -> Site:
    return serve(Links(KEPT), response_cache=SIZE)


def send(wire: Wire, *lines: str) -> Response:
    wire.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
    return wire.response()


def test_another_host_is_another_page(site: Site) -> None:
    with site.connect() as wire:
        for host in ("evil.example", "test", "TEST", "test:80", "evil.example"):
            answer = send(wire, "GET /page HTTP/1.1", f"Host: {host}")
            assert answer.text.endswith(f"://{host}/page")
        assert site.server.stats()["response_cache_hits"] == 1


@pytest.mark.no_http2("the target has no authority there")
def test_a_target_in_absolute_form_neither_gives_nor_takes(site: Site) -> None:
    with site.connect() as wire:
        evil = send(wire, "GET http://evil.example/page HTTP/1.1", "Host: test")
        assert evil.text.endswith("://evil.example/page")
        assert site.server.stats()["response_cache_stored"] == 0
        assert wire.ask("/page").text.endswith("://test/page")
        assert send(wire, "GET http://test/page HTTP/1.1", "Host: test").get("age") is None


@pytest.mark.no_http2("the target has no authority there")
def test_a_change_in_absolute_form_is_one_of_the_same_page(site: Site) -> None:
    with site.connect() as wire:
        first = wire.ask("/page")
        assert wire.ask("/page").get("age") is not None
        send(wire, "POST http://other/page HTTP/1.1", "Host: test", "Content-Length: 0")
        assert wire.ask("/page").get("age") is not None
        send(wire, "POST http://test/page HTTP/1.1", "Host: other", "Content-Length: 0")
        assert wire.ask("/page").get("age") is None
        assert wire.ask("/page").text == first.text


@pytest.mark.no_http2("there is always an authority")
def test_without_a_host_it_is_the_servers_own_name(site: Site) -> None:
    answers = []
    for host in ([], ["Host: evil.example"], []):
        with site.connect() as wire:
            answers.append(send(wire, "GET /page HTTP/1.0", *host).text)
    assert answers[0] == answers[2]
    assert answers[0].endswith(f"://127.0.0.1:{site.port}/page")
    assert answers[1].endswith("://evil.example/page")


@pytest.mark.parametrize(
    "field",
    [
        "X-Forwarded-Host: evil.example",
        "x-forwarded-proto: gopher",
        "X-Forwarded-Prefix: /evil",
        "X-Forwarded-Port: 1",
        "X-Forwarded-Server: evil",
        "Forwarded: host=evil.example",
        'Forwarded: for="a,b;", proto=gopher',
        "X-Original-URL: /evil",
        "X-Rewrite-URL: /evil",
        "X-HTTP-Method-Override: DELETE",
        "X-Host: evil.example",
        "Front-End-Https: on",
    ],
)
def test_who_tells_another_target_gets_answers_of_its_own(site: Site, field: str) -> None:
    with site.connect() as wire:
        evil = wire.ask("/page", field)
        plain = wire.ask("/page")
        assert plain.get("age") is None
        assert plain.text.endswith("://test/page")
        assert wire.ask("/page", field).get("age") is not None
        assert wire.ask("/page", field).text == evil.text


def test_a_change_is_one_of_those_too(site: Site) -> None:
    with site.connect() as wire:
        wire.ask("/page", "X-Forwarded-Host: evil.example")
        wire.ask("/page", method="POST")
        assert wire.ask("/page", "X-Forwarded-Host: evil.example").get("age") is None


def test_addresses_of_clients_are_no_part_of_it(site: Site) -> None:
    with site.connect() as wire:
        wire.ask("/page", "X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1;by=_a")
        second = wire.ask("/page", "X-Forwarded-For: 192.0.2.2", "Forwarded: by=_b; for=192.0.2.2")
    assert second.get("age") is not None


def test_what_a_proxy_is_believed_is_told_apart(serve: ServeFixture) -> None:
    site = serve(
        Links(KEPT),
        response_cache=SIZE,
        forwarded_allow_ips="127.0.0.1",
        forwarded_fields="for,proto,host,port,prefix",
    )
    other = "http" if site.tls else "https"
    asked = [
        ("X-Forwarded-Host: a.example",),
        ("X-Forwarded-Host: b.example",),
        ("X-Forwarded-Host: a.example", f"X-Forwarded-Proto: {other}"),
        ("X-Forwarded-Host: a.example", "X-Forwarded-Prefix: /shop"),
    ]
    with site.connect() as wire:
        texts = [wire.ask("/page", *fields).text for fields in asked]
        assert len(set(texts)) == len(asked)
        assert [wire.ask("/page", *fields).text for fields in asked] == texts
    assert site.server.stats()["response_cache_hits"] == len(asked)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["X-A: 1", "X-A: 2"], ["X-A: 1"]),
        (["X-A: 1", "X-A: 2"], ["X-A: 2", "X-A: 1"]),
        (["X-A: a, b"], ["X-A: a,b"]),
        (["X-A: A"], ["X-A: a"]),
        (["X-A:"], []),
        (["X-A: 1", "X-B: 2"], ["X-A: 2", "X-B: 1"]),
        (["X-A: =1"], ["X-B: 1"]),
        (["Accept: TEXT/html"], ["Accept: text/html"]),
        (['Accept: a;b="c d"'], ['Accept: a;b="cd"']),
        (["Cookie: a=1", "Cookie: b=2"], ["Cookie: a=1,b=2"]),
    ],
)
def test_fields_that_an_application_tells_apart(
    serve: ServeFixture, first: list[str], second: list[str]
) -> None:
    site = serve(Pages(KEPT, ("Vary", "X-A, X-B"), ("Vary", "Accept, Cookie")), response_cache=SIZE)
    with site.connect() as wire:
        assert wire.ask("/", *first).text == "answer 1"
        assert wire.ask("/", *second).text == "answer 2"
        assert wire.ask("/", *first).text == "answer 1"


def test_queries_and_paths_are_as_they_were_sent(serve: ServeFixture) -> None:
    site = serve(Pages(KEPT), response_cache=SIZE)
    targets = ["/a", "/a?", "/a?b", "/a?b&c", "/a?c&b", "/%61", "//a", "/a/", "/a/../a", "/a;b"]
    with site.connect() as wire:
        texts = [wire.ask(target).text for target in targets]
        assert len(set(texts)) == len(targets)
        assert [wire.ask(target).text for target in targets] == texts


def test_a_request_for_another_protocol_is_the_applications(serve: ServeFixture) -> None:
    pages = Pages(KEPT)
    site = serve(pages, response_cache=SIZE)
    upgrade = ("Connection: Upgrade", "Upgrade: made-up")
    if site.has_streams:
        pytest.skip("there it is a CONNECT")
    with site.connect() as wire:
        assert wire.ask("/", *upgrade).text == "answer 1"
    with site.connect() as wire:
        assert wire.ask("/").text == "answer 2", "what answers an upgrade is not kept"
        assert wire.ask("/", *upgrade).text == "answer 3", "nor is one answered by it"


def test_one_clients_cookie_is_nobody_elses(serve: ServeFixture) -> None:
    class Personal(Pages):
        def answer(self, number: int, start_response: StartResponse) -> Iterable[bytes]:
            cookie = self.environs[-1].get("HTTP_COOKIE", "")
            fields = [("Set-Cookie", "seen=1")] if not cookie else [("Vary", "Cookie")]
            start_response(self.status, [*self.fields, *fields])
            return [f"for {cookie}".encode()]

    site = serve(Personal(KEPT), response_cache=SIZE)
    with site.connect() as wire:
        for cookie in ("a=1", "a=2"):
            assert wire.ask("/", f"Cookie: {cookie}").text == f"for {cookie}"
            assert wire.ask("/", f"Cookie: {cookie}").text == f"for {cookie}"
        for _ in range(2):
            stranger = wire.ask("/")
            assert stranger.text == "for "
            assert stranger.get("set-cookie") == "seen=1"


def test_a_body_with_get_is_the_applications(serve: ServeFixture) -> None:
    site = serve(Pages(KEPT), response_cache=SIZE)
    with site.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nevil")
        assert wire.response().text == "answer 1"
        assert wire.ask().text == "answer 2"
        wire.send(b"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nevil")
        assert wire.response().text == "answer 3"
