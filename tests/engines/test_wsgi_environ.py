"""The environ: CGI's names, PEP 3333's wsgi.* keys, and bytes tunnelled as latin-1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import Echo

if TYPE_CHECKING:
    from harness.site import ServeFixture
    from harness.wire import Wire


def environ_of(wire: Wire, raw: bytes) -> dict[str, str]:
    wire.send(raw)
    response = wire.response(raw.split(b" ", 1)[0].decode())
    assert response.status == 200, response
    seen: dict[str, str] = json.loads(response.body)["environ"]
    return seen


def ask_environ(serve: ServeFixture, target: str = "/", *fields: str) -> dict[str, str]:
    lines = [f"GET {target} HTTP/1.1", "Host: example.test:8080", *fields, "", ""]
    with serve(Echo()).connect() as wire:
        return environ_of(wire, "\r\n".join(lines).encode("latin-1"))


def test_keys_that_pep_3333_requires_are_there(
    serve: ServeFixture, pytestconfig: pytest.Config
) -> None:
    environ = ask_environ(serve)
    for key in ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"):
        assert key in environ
    for key in ("SERVER_NAME", "SERVER_PORT"):
        assert environ[key], f"{key} must never be empty"
    protocol = "HTTP/2.0" if pytestconfig.getoption("http2") else "HTTP/1.1"
    assert environ["SERVER_PROTOCOL"] == protocol
    scheme = "https" if pytestconfig.getoption("tls") else "http"
    assert environ["wsgi.url_scheme"] == scheme


def test_wsgi_keys_have_the_types_the_pep_gives(serve: ServeFixture) -> None:
    app = Echo()
    serve(app, threads=2).ask()
    environ: dict[str, Any] = app.environs[0]
    assert type(environ) is dict
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.multithread"] is True
    assert environ["wsgi.multiprocess"] in (True, False)
    assert environ["wsgi.run_once"] is False
    assert environ["wsgi.input_terminated"] is True
    assert callable(environ["wsgi.file_wrapper"])
    for method in ("write", "writelines", "flush"):
        assert callable(getattr(environ["wsgi.errors"], method))
    for method in ("read", "readline", "readlines", "__iter__"):
        assert callable(getattr(environ["wsgi.input"], method))
    assert all(type(key) is str for key in environ)


def test_environ_belongs_to_one_request(serve: ServeFixture) -> None:
    app = Echo()
    site = serve(app, threads=1)
    site.ask("/", "X-Once: 1")
    app.environs[0]["wsgi.version"] = "spoilt"
    app.environs[0]["left.behind"] = True
    site.ask()
    assert app.environs[1]["wsgi.version"] == (1, 0)
    assert "left.behind" not in app.environs[1]
    assert "HTTP_X_ONCE" not in app.environs[1]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a/b.html", "/a/b.html", ""),
        ("/a?", "/a", ""),
        ("/a?b=c&d", "/a", "b=c&d"),
        ("/a?b?c", "/a", "b?c"),
        ("/a%20b?c%20d", "/a b", "c%20d"),
        ("/%C3%A9", "/\xc3\xa9", ""),
        ("/%e9", "/\xe9", ""),
        ("/a%2Fb", "/a/b", ""),
        ("/a%3Fb", "/a?b", ""),
        ("/100%25", "/100%", ""),
        ("//double//slash", "//double//slash", ""),
        ("/a/../b/./c", "/a/../b/./c", ""),
        ("/a;p=1", "/a;p=1", ""),
        ("/~user/'()*!$&,=:@", "/~user/'()*!$&,=:@", ""),
        ("/%00", "/\0", ""),
        ("/a+b", "/a+b", ""),
    ],
)
def test_target_is_split_and_its_path_percent_decoded(
    serve: ServeFixture, target: str, path: str, query: str
) -> None:
    environ = ask_environ(serve, target)
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"] == path
    assert environ["QUERY_STRING"] == query
    assert environ["RAW_URI"] == target
    assert environ["REQUEST_URI"] == target


@pytest.mark.no_http2("a target has one form")
def test_absolute_form_gives_path_and_host_of_the_target(serve: ServeFixture) -> None:
    """RFC 9112 section 3.2.2: the target's authority replaces the Host field's."""
    environ = ask_environ(serve, "http://other.test:81/a%20b?c=d")
    assert environ["PATH_INFO"] == "/a b"
    assert environ["QUERY_STRING"] == "c=d"
    assert environ["HTTP_HOST"] == "other.test:81"
    assert environ["RAW_URI"] == "http://other.test:81/a%20b?c=d"


def test_absolute_form_without_path_means_the_root(serve: ServeFixture) -> None:
    assert ask_environ(serve, "http://other.test")["PATH_INFO"] == "/"
    environ = ask_environ(serve, "http://other.test?x=y")
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/", "x=y")


def test_asterisk_form_of_options(serve: ServeFixture) -> None:
    with serve(Echo()).connect() as wire:
        environ = environ_of(wire, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert environ["REQUEST_METHOD"] == "OPTIONS"
    assert environ["PATH_INFO"] in ("*", "/*", "", "/")
    assert environ["RAW_URI"] == "*"


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "M-SEARCH"]
)
def test_method_is_passed_as_sent(serve: ServeFixture, method: str) -> None:
    with serve(Echo()).connect() as wire:
        raw = f"{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        assert environ_of(wire, raw.encode())["REQUEST_METHOD"] == method


def test_method_is_case_sensitive(serve: ServeFixture) -> None:
    """RFC 9110 section 9.1: `get` is a method of its own, passed on as it is or refused."""
    with serve(Echo()).connect() as wire:
        wire.send(b"get / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = wire.response()
        if response.status == 200:
            assert json.loads(response.body)["environ"]["REQUEST_METHOD"] == "get"
        else:
            assert response.status in (400, 405, 501)


def test_peer_and_server_addresses(serve: ServeFixture) -> None:
    site = serve(Echo())
    with site.connect() as wire:
        environ = environ_of(wire, b"GET / HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n")
        host, port = wire.socket.getsockname()
    assert environ["REMOTE_ADDR"] == host
    assert environ["REMOTE_PORT"] == str(port)
    assert environ["SERVER_PORT"] == str(site.port)
    assert environ["SERVER_NAME"]


@pytest.mark.no_http2("it has one version")
def test_http_1_0_protocol_is_told(serve: ServeFixture) -> None:
    with serve(Echo()).connect() as wire:
        environ = environ_of(wire, b"GET / HTTP/1.0\r\n\r\n")
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert "HTTP_HOST" not in environ


def test_fields_become_http_variables(serve: ServeFixture) -> None:
    environ = ask_environ(serve, "/", "User-Agent: probe/1.0", "x-lower-case: v", "X-EMPTY:")
    assert environ["HTTP_HOST"] == "example.test:8080"
    assert environ["HTTP_USER_AGENT"] == "probe/1.0"
    assert environ["HTTP_X_LOWER_CASE"] == "v"
    assert environ["HTTP_X_EMPTY"] == ""


def test_whitespace_around_a_value_is_not_part_of_it(serve: ServeFixture) -> None:
    environ = ask_environ(serve, "/", "X-Pad: \t a  b \t", "X-Tight:c")
    assert environ["HTTP_X_PAD"] == "a  b"
    assert environ["HTTP_X_TIGHT"] == "c"


def test_repeated_fields_are_joined_by_commas(serve: ServeFixture) -> None:
    environ = ask_environ(serve, "/", "Accept: a", "X-Between: 1", "accept: b", "ACCEPT: c")
    assert [part.strip() for part in environ["HTTP_ACCEPT"].split(",")] == ["a", "b", "c"]


def test_repeated_cookies_are_joined_by_semicolons(serve: ServeFixture) -> None:
    """RFC 9113 section 8.2.3, and what every cookie parser reads."""
    environ = ask_environ(serve, "/", "Cookie: a=1", "Cookie: b=2; c=3")
    assert environ["HTTP_COOKIE"] == "a=1; b=2; c=3"


def test_value_bytes_are_tunnelled_as_latin_1(serve: ServeFixture) -> None:
    environ = ask_environ(serve, "/", "X-Utf8: \xc3\xa9", "X-Latin: \xe9\xff\x80")
    assert environ["HTTP_X_UTF8"] == "\xc3\xa9"
    assert environ["HTTP_X_LATIN"] == "\xe9\xff\x80"


def test_names_with_underscores_are_dropped(serve: ServeFixture) -> None:
    """`X_Auth` would be indistinguishable from `X-Auth`, which a proxy in front may guard."""
    environ = ask_environ(serve, "/", "X_Auth: forged", "X-Auth: real", "X_Only: forged")
    assert environ["HTTP_X_AUTH"] == "real"
    assert "HTTP_X_ONLY" not in environ


def test_underscored_framing_fields_are_not_taken_for_real_ones(serve: ServeFixture) -> None:
    environ = ask_environ(serve, "/", "Content_Length: 5", "Transfer_Encoding: chunked")
    assert environ.get("CONTENT_LENGTH", "") == ""
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_content_type_and_length_have_no_http_prefix(serve: ServeFixture) -> None:
    with serve(Echo()).connect() as wire:
        environ = environ_of(
            wire,
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/x; a=b\r\n"
            b"Content-Length: 3\r\n\r\nabc",
        )
    assert environ["CONTENT_TYPE"] == "text/x; a=b"
    assert environ["CONTENT_LENGTH"] == "3"
    assert "HTTP_CONTENT_TYPE" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ


def test_request_without_body_has_no_content_length(serve: ServeFixture) -> None:
    environ = ask_environ(serve)
    assert environ.get("CONTENT_LENGTH", "") == ""
    assert environ.get("CONTENT_TYPE", "") == ""


def test_connection_fields_do_not_leak_between_requests(serve: ServeFixture) -> None:
    with serve(Echo()).connect() as wire:
        first = environ_of(wire, b"GET /1 HTTP/1.1\r\nHost: a\r\nX-First: 1\r\n\r\n")
        second = environ_of(wire, b"GET /2 HTTP/1.1\r\nHost: b\r\n\r\n")
    assert first["HTTP_X_FIRST"] == "1"
    assert "HTTP_X_FIRST" not in second
    assert (second["HTTP_HOST"], second["PATH_INFO"]) == ("b", "/2")


def test_errors_stream_reaches_the_error_log(
    serve: ServeFixture, capfd: pytest.CaptureFixture[str], error_log: Any
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        errors = environ["wsgi.errors"]
        errors.write("from write\n")
        errors.writelines(["from writelines\n", "snow ☃\n"])
        print("from print", file=errors)
        errors.flush()
        start_response("200 OK", [])
        return [b"x"]

    assert serve(app).ask().body == b"x"
    written = error_log.text + capfd.readouterr().err
    for words in ("from write", "from writelines", "snow ☃", "from print"):
        assert words in written


def test_server_port_is_that_of_the_listener_asked(serve: ServeFixture) -> None:
    first, second = serve(Echo()), serve(Echo())
    assert first.port != second.port
    for site in (first, second):
        with site.connect() as wire:
            raw = b"GET / HTTP/1.1\r\nHost: any.test:1\r\n\r\n"
            assert environ_of(wire, raw)["SERVER_PORT"] == str(site.port)
