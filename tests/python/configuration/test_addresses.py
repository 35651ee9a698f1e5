from __future__ import annotations

import pytest

from prowingen_wsgi.configuration.addresses import (
    Address,
    InheritedSocket,
    TcpAddress,
    UnixAddress,
    parse_address,
    tcp_text,
    with_ipv4,
)

FORMS = "must be host:port, [v6]:port, :port, host, unix:/path, fd://N or systemd"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", TcpAddress("127.0.0.1", 80)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("localhost", TcpAddress("localhost", 8000)),
        ("app_1.internal:65535", TcpAddress("app_1.internal", 65535)),
        (":8080", TcpAddress("", 8080)),
        ("[::1]:8080", TcpAddress("::1", 8080)),
        ("[::1]", TcpAddress("::1", 8000)),
        ("[fe80::1%eth0]:1", TcpAddress("fe80::1%eth0", 1)),
        ("unix:/run/app.sock", UnixAddress("/run/app.sock")),
        ("unix:app.sock", UnixAddress("app.sock")),
        ("unix:///run/app.sock", UnixAddress("/run/app.sock")),
        ("fd://3", InheritedSocket(3)),
        ("tcp://localhost:1", TcpAddress("localhost", 1)),
        ("tcp://systemd:1", TcpAddress("systemd", 1)),
        ("tcp://[::1]:1", TcpAddress("::1", 1)),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("localhost:99999", "port must be 0–65535"),
        ("localhost:65536", "port must be 0–65535"),
        ("localhost:", "port must be 0–65535"),
        ("localhost:-1", "port must be 0–65535"),
        ("localhost:+1", "port must be 0–65535"),
        ("localhost:٣", "port must be 0–65535"),
        ("[::1]:http", "port must be 0–65535"),
        ("::1", "an IPv6 address must be in brackets, as in [::1]:8000"),
        ("::1:8000", "an IPv6 address must be in brackets, as in [::1]:8000"),
        ("[::1", "an IPv6 address must be in brackets, as in [::1]:8000"),
        ("[::1]8000", "an IPv6 address must be in brackets, as in [::1]:8000"),
        ("[localhost]:8000", "there must be an IPv6 address between the brackets"),
        ("8000", "a port alone is written :8000"),
        ("unix:", "a path must follow unix:, as in unix:/run/app.sock"),
        ("unix://", "a path must follow unix:, as in unix:/run/app.sock"),
        ("fd://", "a file descriptor's number must follow fd://, as in fd://3"),
        ("fd://-1", "a file descriptor's number must follow fd://, as in fd://3"),
        (
            "http://localhost:8000",
            FORMS + ", without a scheme",
        ),
        ("", FORMS),
        ("a b:80", FORMS),
        (
            "/run/app.sock",
            FORMS,
        ),
    ],
)
def test_a_wrong_address_is_refused_with_what_is_allowed(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # the whole text is compared
        parse_address(text)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("texts", "places"),
    [
        (["[::]:80"], [":80"]),
        (["[::]"], [":8000"]),
        (["[0:0::]:0"], [":0"]),
        (["[::1]:80", "[::]:80"], ["[::1]:80", ":80"]),
        (
            ["[::]:80", "0.0.0.0:81", "unix:/s", "fd://3"],
            [":80", "0.0.0.0:81", "unix:/s", "fd://3"],
        ),
        (["0.0.0.0:0", "[::]:0"], ["0.0.0.0:0", ":0"]),
    ],
)
def test_every_ipv6_address_is_every_interface(texts: list[str], places: list[str]) -> None:
    assert list(with_ipv4(texts)) == places


@pytest.mark.parametrize("four", ["0.0.0.0:80", "127.0.0.1:80", "localhost:80", ":80"])
def test_an_address_of_ipv4_on_the_port_leaves_the_other_family_alone(four: str) -> None:
    assert with_ipv4([four, "[::]:80"]) == (four, "[::]:80")
    assert with_ipv4(["[::]:80", four]) == ("[::]:80", four)


@pytest.mark.parametrize("host", ["", "localhost", "::1", "unix", "systemd", "tcp", "fd"])
def test_a_host_is_a_host_whatever_its_name(host: str) -> None:
    assert parse_address(tcp_text(host, 80)) == TcpAddress(host, 80)
    assert parse_address(tcp_text(host, "80")) == TcpAddress(host, 80)
