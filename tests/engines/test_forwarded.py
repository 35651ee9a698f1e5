"""What proxies say of requests in their fields, and what clients cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.apps import Echo, hello
from harness.h2wire import H2Wire
from harness.proxyhead import LOCAL, TLS, environ_of, v1, v2

if TYPE_CHECKING:
    from pathlib import Path

    from harness.site import ServeFixture, Site

pytestmark = pytest.mark.no_tls("it is about schemes, and proxies that speak HTTP")

ALL = "for,proto,host,port,prefix"
HERE = "127.0.0.1"
PROXIES = "127.0.0.1,10.0.0.0/8,fd00::/8"


def seen(site: Site, *fields: str, target: str = "/") -> dict[str, str]:
    return environ_of(site.ask(target, *fields))


def client_of(site: Site, *fields: str) -> str:
    return seen(site, *fields)["REMOTE_ADDR"]


@pytest.fixture
def behind(serve: ServeFixture) -> Site:
    """Behind a proxy at this address, and others in 10.0.0.0/8."""
    return serve(Echo(), forwarded_allow_ips=PROXIES, forwarded_fields=ALL)


# ---- nobody is believed


def test_by_default_nothing_is_believed(serve: ServeFixture) -> None:
    site = serve(Echo())
    environ = seen(
        site,
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Prefix: /evil",
        "Forwarded: for=192.0.2.1;proto=https;host=evil.example",
    )
    assert environ["REMOTE_ADDR"] == HERE
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["HTTP_HOST"] == "test"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.1"


@pytest.mark.parametrize("allowed", ["192.0.2.0/24", "unix", "::/0", "127.0.0.2", "::1"])
def test_a_peer_that_is_not_trusted_is_not_believed(serve: ServeFixture, allowed: str) -> None:
    site = serve(Echo(), forwarded_allow_ips=allowed, forwarded_fields=ALL)
    environ = seen(site, "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")
    assert environ["REMOTE_ADDR"] == HERE
    assert environ["wsgi.url_scheme"] == "http"


# ---- addresses


@pytest.mark.parametrize("allowed", [PROXIES, "127.0.0.0/8", "::ffff:127.0.0.1"])
def test_the_client_is_whom_a_trusted_proxy_names(serve: ServeFixture, allowed: str) -> None:
    site = serve(Echo(), forwarded_allow_ips=allowed)
    environ = seen(site, "X-Forwarded-For: 192.0.2.1")
    assert environ["REMOTE_ADDR"] == "192.0.2.1"
    assert environ["REMOTE_PORT"] == ""
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.1"


@pytest.mark.parametrize(
    "spoofed",
    [
        "6.6.6.6",
        "127.0.0.1",
        "10.0.0.9",
        "10.0.0.9, 10.0.0.9",
        "unknown",
        "garbage",
        '"',
        ",",
        ", ,\t,",
        "192.0.2.1:",
        "for=6.6.6.6",
        "\xff",
    ],
)
@pytest.mark.parametrize("lines", [1, 2])
def test_what_a_client_sends_itself_never_wins(behind: Site, spoofed: str, lines: int) -> None:
    """A proxy adds to the line that is there, or adds a line; two of them do so here."""
    added = "192.0.2.1, 10.0.0.2"
    if lines == 1:
        fields = [f"X-Forwarded-For: {spoofed}, {added}"]
    else:
        fields = [f"X-Forwarded-For: {spoofed}", f"X-Forwarded-For: {added}"]
    assert client_of(behind, *fields) == "192.0.2.1"


@pytest.mark.parametrize(
    ("value", "client", "port"),
    [
        ("192.0.2.1:4711", "192.0.2.1", "4711"),
        ("[2001:db8::1]:4711", "2001:db8::1", "4711"),
        ("2001:DB8::1", "2001:db8::1", ""),
        ("::ffff:192.0.2.1", "192.0.2.1", ""),
        ("6.6.6.6 ,\t192.0.2.1\t, fd00::1", "192.0.2.1", ""),
        ("10.0.0.1, 10.0.0.2", "10.0.0.1", ""),
        ("6.6.6.6, fe80::1%eth0, 10.0.0.2", "10.0.0.2", ""),
        ("6.6.6.6, unknown, 10.0.0.2:80", "10.0.0.2", "80"),
    ],
)
def test_forms_of_addresses(behind: Site, value: str, client: str, port: str) -> None:
    environ = seen(behind, f"X-Forwarded-For: {value}")
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == (client, port)


@pytest.mark.parametrize("value", ["", ",", "unknown", "nonsense", "fe80::1%eth0"])
def test_where_nobody_is_named_the_peer_remains(behind: Site, value: str) -> None:
    assert client_of(behind, f"X-Forwarded-For: {value}") == HERE


@pytest.mark.parametrize("name", ["X_Forwarded_For", "X-Forwarded_For", "X-Real-IP", "Client-IP"])
def test_other_names_mean_nothing(behind: Site, name: str) -> None:
    environ = seen(behind, f"{name}: 6.6.6.6")
    assert environ["REMOTE_ADDR"] == HERE
    assert "HTTP_X_FORWARDED_FOR" not in environ


def test_each_request_of_a_connection_has_its_own_client(behind: Site) -> None:
    with behind.connect() as wire:
        clients = [
            environ_of(wire.ask("/", f"X-Forwarded-For: 192.0.2.{n}"))["REMOTE_ADDR"]
            for n in range(3)
        ]
        clients.append(environ_of(wire.ask())["REMOTE_ADDR"])
        wire.get("/", "X-Forwarded-For: 192.0.2.7")
        wire.get("/", "X-Forwarded-For: 192.0.2.8")
        clients += [environ_of(wire.response())["REMOTE_ADDR"] for _ in range(2)]
    assert clients == ["192.0.2.0", "192.0.2.1", "192.0.2.2", HERE, "192.0.2.7", "192.0.2.8"]


def test_a_unix_socket_may_be_trusted(serve: ServeFixture, tmp_path: Path) -> None:
    options = {"bind": f"unix:{tmp_path}/s", "forwarded_allow_ips": "unix"}
    environ = seen(
        serve(Echo(), **options), "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"
    )
    assert environ["REMOTE_ADDR"] == "192.0.2.1"
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SERVER_PORT"] == "443"


def test_asterisk_trusts_everybody(serve: ServeFixture) -> None:
    site = serve(Echo(), forwarded_allow_ips="*")
    assert client_of(site, "X-Forwarded-For: 192.0.2.1, 192.0.2.2") == "192.0.2.1"


def test_access_log_and_application_see_the_same(serve: ServeFixture) -> None:
    lines: list[str] = []
    site = serve(
        hello, forwarded_allow_ips=HERE, access_log=lines.append, access_log_format="%h %{scheme}x"
    )
    site.ask("/", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")
    site.ask("/")
    site.server.stop()
    assert [line.split()[0] for line in lines] == ["192.0.2.1", HERE]


# ---- the other fields


@pytest.mark.parametrize(
    ("addresses", "schemes", "scheme"),
    [
        ("192.0.2.1", "https", "https"),
        ("192.0.2.1", "HTTPS", "https"),
        ("192.0.2.1, 10.0.0.2", "https, http", "https"),
        ("192.0.2.1, 10.0.0.2", "http, https", "http"),
        ("6.6.6.6, 192.0.2.1", "https, http", "http"),
        ("192.0.2.1, 10.0.0.2", "https", "https"),
        ("192.0.2.1", "https, http", "http"),
        ("192.0.2.1", "ftp", "http"),
        ("192.0.2.1", "https:", "http"),
    ],
)
def test_the_scheme_is_that_of_the_clients_request(
    behind: Site, addresses: str, schemes: str, scheme: str
) -> None:
    fields = (f"X-Forwarded-For: {addresses}", f"X-Forwarded-Proto: {schemes}")
    assert seen(behind, *fields)["wsgi.url_scheme"] == scheme


def test_only_the_fields_that_are_named_are_believed(serve: ServeFixture) -> None:
    everything = (
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: a.example",
        "X-Forwarded-Port: 8443",
        "X-Forwarded-Prefix: /app",
    )
    site = serve(Echo(), forwarded_allow_ips=HERE, forwarded_fields="for,proto")
    environ = seen(site, *everything)
    assert environ["REMOTE_ADDR"] == "192.0.2.1"
    assert environ["HTTP_HOST"] == "test"
    assert environ["SERVER_PORT"] == str(site.port)
    assert environ["SCRIPT_NAME"] == ""
    nothing = serve(Echo(), forwarded_allow_ips=HERE, forwarded_fields="")
    environ = seen(nothing, *everything)
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == (HERE, "http")


@pytest.mark.parametrize(
    ("fields", "host", "name", "port"),
    [
        (["Host: a.example"], "a.example", "a.example", "80"),
        (["Host: a.example", "Proto: https"], "a.example", "a.example", "443"),
        (["Host: a.example:8443"], "a.example:8443", "a.example", "8443"),
        (["Host: [::1]:8443"], "[::1]:8443", "[::1]", "8443"),
        (["Host: a.example", "Port: 8443"], "a.example", "a.example", "8443"),
        (["Host: evil.example, a.example"], "a.example", "a.example", "80"),
    ],
)
def test_the_host_is_the_one_that_the_client_asked(
    behind: Site, fields: list[str], host: str, name: str, port: str
) -> None:
    environ = seen(behind, *(f"X-Forwarded-{field}" for field in fields))
    assert environ["HTTP_HOST"] == host
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)


@pytest.mark.parametrize("host", ["a b", "a/b", "user@a", "http://a", "a:x", "[::1", "a\x80"])
def test_a_host_that_is_none_is_left_out(behind: Site, host: str) -> None:
    environ = seen(behind, f"X-Forwarded-Host: {host}")
    assert environ["HTTP_HOST"] == "test"
    assert environ["SERVER_PORT"] == str(behind.port)


def test_the_port_alone_changes_the_port_alone(behind: Site) -> None:
    environ = seen(behind, "X-Forwarded-Port: 8443")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (HERE, "8443")
    assert environ["HTTP_HOST"] == "test"


def test_a_host_overrides_an_absolute_target(behind: Site) -> None:
    environ = seen(behind, "X-Forwarded-Host: a.example", target="http://test/x")
    assert environ["HTTP_HOST"] == "a.example"


@pytest.mark.parametrize(
    ("prefix", "target", "script_name", "path"),
    [
        ("/app", "/app/x", "/app", "/x"),
        ("/app", "/x", "/app", "/x"),
        ("/app", "/app", "/app", ""),
        ("/app", "/application", "/app", "/application"),
        ("/app/", "/app/x", "/app", "/x"),
        ("/", "/x", "", "/x"),
        ("/caf%C3%A9", "/caf%c3%a9/x", "/caf\xc3\xa9", "/x"),
        ("//evil.example", "/x", "", "/x"),
        ("app", "/x", "", "/x"),
        ("/a b", "/x", "", "/x"),
        ("http://evil.example/", "/x", "", "/x"),
        # Judged by what they become.
        ("/%2fevil.example", "/x", "", "/x"),
        ("/%5cevil.example", "/x", "", "/x"),
        ("/%09/evil.example", "/x", "", "/x"),
        ("/%0d%0aX: y", "/x", "", "/x"),
        ("/%0d%0aX", "/x", "", "/x"),
        ("/a%00b", "/x", "", "/x"),
        ("/a%3fb", "/x", "", "/x"),
        ("/a%7fb", "/x", "", "/x"),
        ("/a%2f", "/a/x", "/a", "/x"),
        ("/a%20b", "/a%20b/x", "/a b", "/x"),
    ],
)
def test_the_prefix_is_the_script_name(
    behind: Site, prefix: str, target: str, script_name: str, path: str
) -> None:
    environ = seen(behind, f"X-Forwarded-Prefix: {prefix}", target=target)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path)
    assert environ["REQUEST_URI"] == target


@pytest.mark.parametrize(
    "host", ["a%2fb.example", "a%40b.example", "a%5cb", "a%00b", "a%0d%0ab", "a%20b", "a%3a80"]
)
def test_a_host_that_would_end_early_once_decoded_is_none(behind: Site, host: str) -> None:
    assert seen(behind, f"X-Forwarded-Host: {host}")["HTTP_HOST"] == "test"


def test_a_hosts_port_is_plain(behind: Site) -> None:
    environ = seen(behind, "X-Forwarded-Host: a.example:08443")
    assert environ["SERVER_PORT"] == "8443"


# ---- Forwarded


@pytest.fixture
def rfc7239(serve: ServeFixture) -> Site:
    options = {"forwarded_allow_ips": PROXIES, "forwarded_header": "forwarded"}
    return serve(Echo(), forwarded_fields=ALL, **options)


def test_forwarded_says_it_all(rfc7239: Site) -> None:
    environ = seen(
        rfc7239,
        "Forwarded: for=6.6.6.6;proto=http",
        'Forwarded: For="[2001:db8:cafe::17]:4711";proto=https;host="a.example:8443";by=10.0.0.2',
        "Forwarded: for=10.0.0.2;proto=http;host=internal",
    )
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("2001:db8:cafe::17", "4711")
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "a.example:8443"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("a.example", "8443")


@pytest.mark.parametrize(
    "spoofed",
    ["for=6.6.6.6", 'for="', 'for="6.6.6.6\\', 'x="a, b', "for=10.0.0.9", "for=_x", "garbage", ","],
)
def test_forwarded_of_a_client_never_wins(rfc7239: Site, spoofed: str) -> None:
    added = "for=192.0.2.1;proto=https, for=10.0.0.2"
    for fields in (
        [f"Forwarded: {spoofed}, {added}"],
        [f"Forwarded: {spoofed}", f"Forwarded: {added}"],
    ):
        environ = seen(rfc7239, *fields)
        assert environ["REMOTE_ADDR"] == "192.0.2.1"
        assert environ["wsgi.url_scheme"] == "https"


@pytest.mark.parametrize("node", ["unknown", "_hidden", '"_hidden:_port"'])
def test_a_client_that_is_kept_secret_leaves_the_proxy(rfc7239: Site, node: str) -> None:
    environ = seen(rfc7239, f"Forwarded: for={node};proto=https")
    assert environ["REMOTE_ADDR"] == HERE
    assert environ["wsgi.url_scheme"] == "https"


def test_one_family_is_read_and_the_other_left_alone(behind: Site, rfc7239: Site) -> None:
    x_forwarded = ("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")
    environ = seen(rfc7239, *x_forwarded)
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == (HERE, "http")
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.1"
    environ = seen(behind, "Forwarded: for=192.0.2.1;proto=https")
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == (HERE, "http")
    assert environ["HTTP_FORWARDED"] == "for=192.0.2.1;proto=https"


# ---- with a PROXY header, and over HTTP/2


@pytest.mark.no_http2("the header comes before the preface")
@pytest.mark.parametrize(
    ("header", "client"),
    [
        (v1("10.0.0.7"), "192.0.2.1"),
        (v2("10.0.0.7"), "192.0.2.1"),
        (v1("203.0.113.5"), "203.0.113.5"),
        (LOCAL, "192.0.2.1"),
        (b"PROXY UNKNOWN\r\n", HERE),
    ],
    ids=["a proxy", "a proxy, v2", "a client", "local", "unknown"],
)
def test_a_proxy_header_tells_whose_fields_they_are(
    serve: ServeFixture, header: bytes, client: str
) -> None:
    """A balancer of connections passes on what its clients say, so that it is theirs."""
    site = serve(Echo(), proxy_protocol=True, forwarded_allow_ips=PROXIES)
    with site.connect() as wire:
        wire.send(header)
        assert environ_of(wire.ask("/", "X-Forwarded-For: 192.0.2.1"))["REMOTE_ADDR"] == client


@pytest.mark.no_http2("the header comes before the preface")
def test_tls_to_the_balancer_remains_unless_a_proxy_says_else(serve: ServeFixture) -> None:
    site = serve(Echo(), proxy_protocol=True, forwarded_allow_ips=PROXIES)
    with site.connect() as wire:
        wire.send(v2("10.0.0.7", tlvs=TLS))
        assert environ_of(wire.ask())["wsgi.url_scheme"] == "https"
        assert environ_of(wire.ask("/", "X-Forwarded-Proto: http"))["wsgi.url_scheme"] == "http"


@pytest.mark.no_http2("it speaks HTTP/2 by itself")
def test_fields_of_http2(serve: ServeFixture) -> None:
    options = {"forwarded_allow_ips": PROXIES, "forwarded_fields": ALL}
    with H2Wire(serve(Echo(), http="2", **options)) as wire:
        for client in ("192.0.2.1", "192.0.2.2"):
            fields = [("x-forwarded-for", f"6.6.6.6, {client}"), ("x-forwarded-host", "b.example")]
            body = wire.ask("/", extra=fields).body
            assert f'"REMOTE_ADDR": "{client}"'.encode() in body
            assert b'"HTTP_HOST": "b.example"' in body
        assert f'"REMOTE_ADDR": "{HERE}"'.encode() in wire.ask("/").body
