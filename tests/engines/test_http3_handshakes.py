"""Handshakes of QUIC: what they cost before a client has shown that it is there, and whose
certificate they get."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from aioquic.quic.connection import QuicConnection

from harness.apps import hello
from harness.certificates import authority, write
from harness.h3client import H3Client, _configuration
from harness.h3serve import HTTP3_ONLY, on_connection, serve3

if TYPE_CHECKING:
    from pathlib import Path

    from harness.site import ServeFixture, Site

__all__ = ["serve3"]
pytestmark = HTTP3_ONLY

MOST_FOR_A_BYTE = 3
"""RFC 9000 section 8.1."""


def received_for_the_first_packet(site: Site, seconds: float) -> float:
    """Bytes for each byte that a client has sent which never answers."""
    address = ("127.0.0.1", site.port)
    connection = QuicConnection(configuration=_configuration(1 << 16))
    connection.connect(address, time.monotonic())
    sent = received = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for datagram, _ in connection.datagrams_to_send(time.monotonic()):
            sent += client.sendto(datagram, address)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            client.settimeout(left)
            try:
                received += len(client.recv(1 << 16))
            except TimeoutError:
                break
    assert received > 0
    return received / sent


def test_who_has_not_shown_where_it_is_gets_no_more_than_three_times_as_much(
    serve3: ServeFixture, tmp_path: Path
) -> None:
    names = [f"{'x' * 60}{number}.example" for number in range(100)]  # several packets of it
    files = write(authority().issue_cert(*names), tmp_path, "large")
    site = serve3(hello, **vars(files))
    # In this time mvfst sends what is not acknowledged several times.
    assert received_for_the_first_packet(site, seconds=1.2) <= MOST_FOR_A_BYTE


def test_a_long_chain_gets_to_its_client(serve3: ServeFixture, tmp_path: Path) -> None:
    names = [f"{'x' * 60}{number}.example" for number in range(100)]
    files = write(authority().issue_cert("localhost", *names), tmp_path, "large")

    async def use(client: H3Client) -> Any:
        return (await client.ask()).status

    assert on_connection(serve3(hello, **vars(files)), use) == 200


async def serial_of(client: H3Client) -> int:
    certificate = client._quic.tls._peer_certificate
    assert certificate is not None
    return certificate.serial_number


@pytest.fixture
def named(serve3: ServeFixture, tmp_path: Path) -> Site:
    """A site with certificates whose common names mean nothing beside alternative ones."""
    certificates = [
        authority().issue_cert("localhost", "asked.example", common_name="other.example"),
        authority().issue_cert("other.example", "*.wild.example", "localhost"),
    ]
    files = [write(each, tmp_path, str(number)) for number, each in enumerate(certificates)]
    return serve3(
        hello,
        certfile=[each.certfile for each in files],
        keyfile=[each.keyfile for each in files],
    )


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("asked.example", "localhost"),
        ("other.example", "a.wild.example"),  # and not the one whose common name it is
        ("ASKED.example", "localhost"),
    ],
)
def test_a_name_means_the_certificate_that_tcp_has_for_it(
    named: Site, name: str, like: str
) -> None:
    assert on_connection(named, serial_of, name=name) == on_connection(named, serial_of, name=like)
