"""HTTPS: several certificates, of which a client gets the one of the name that it asks for."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from harness.apps import Echo, hello
from harness.certificates import authority, client_context, write
from harness.https import asked, refused
from harness.proxyhead import environ_of

if TYPE_CHECKING:
    from pathlib import Path

    from harness.certificates import Files
    from harness.site import ServeFixture, Site

RSA, ECDSA = trustme.KeyType.RSA, trustme.KeyType.ECDSA


def issued(folder: Path, *names: str, key_type: trustme.KeyType = ECDSA) -> Files:
    return write(
        authority().issue_cert(*names, key_type=key_type), folder, f"{names[0]}-{key_type.name}"
    )


def options_of(*files: Files) -> dict[str, object]:
    return {
        "certfile": [each.certfile for each in files],
        "keyfile": [each.keyfile for each in files],
    }


def certificate_for(
    site: Site, name: str | None, *, ciphers: str = "", newest: bool = True
) -> x509.Certificate:
    """What a client is shown that asks for `name`, or for none."""
    context = client_context()
    context.check_hostname = False
    if ciphers:
        context.set_ciphers(ciphers)
    if not newest:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", site.port), timeout=10) as sock,
        context.wrap_socket(sock, server_hostname=name) as tls,
    ):
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")


def names_for(site: Site, name: str | None) -> list[str]:
    names = certificate_for(site, name).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return names.value.get_values_for_type(x509.DNSName)


def is_rsa(certificate: x509.Certificate) -> bool:
    return isinstance(certificate.public_key(), rsa.RSAPublicKey)


@pytest.mark.parametrize("newest", [True, False])
def test_another_name_s_kind_of_key_is_not_offered(
    serve: ServeFixture, tmp_path: Path, newest: bool
) -> None:
    first = issued(tmp_path, "first.example", key_type=RSA)
    site = serve(hello, **options_of(first, issued(tmp_path, "second.example")))
    kinds = {
        name: is_rsa(certificate_for(site, name, newest=newest))
        for name in ("first.example", "unknown.example", None, "second.example")
    }
    assert kinds == {
        "first.example": True,
        "unknown.example": True,
        None: True,
        "second.example": False,
    }


@pytest.mark.parametrize(
    ("asked_for", "shown"),
    [
        ("first.example", "first.example"),
        ("second.example", "second.example"),
        ("SECOND.Example", "second.example"),
        ("alias.example", "second.example"),
        ("www.wild.example", "*.wild.example"),
        ("a.b.wild.example", "first.example"),
        ("wild.example", "first.example"),
        ("exact.wild.example", "exact.wild.example"),
        ("nobody.example", "first.example"),
        ("localhost", "first.example"),
        (None, "first.example"),
    ],
)
def test_the_name_that_is_asked_for_chooses_the_certificate(
    serve: ServeFixture, tmp_path: Path, asked_for: str | None, shown: str
) -> None:
    site = serve(
        hello,
        **options_of(
            issued(tmp_path, "first.example"),
            issued(tmp_path, "second.example", "alias.example"),
            issued(tmp_path, "*.wild.example"),
            issued(tmp_path, "exact.wild.example"),
        ),
    )
    assert names_for(site, asked_for)[0] == shown


def test_a_name_may_have_an_rsa_and_an_ecdsa_certificate(
    serve: ServeFixture, tmp_path: Path
) -> None:
    """OpenSSL takes the one that the client can verify, here by its only cipher suite."""
    site = serve(
        hello,
        **options_of(
            issued(tmp_path, "other.example"),
            issued(tmp_path, "both.example", key_type=RSA),
            issued(tmp_path, "both.example"),
            issued(tmp_path, "*.half.example", key_type=RSA),
            issued(tmp_path, "www.half.example"),
        ),
    )
    for name in ("both.example", "www.half.example"):
        for kind, expected in (("ECDSA", False), ("RSA", True)):
            found = certificate_for(
                site, name, ciphers=f"ECDHE-{kind}-AES128-GCM-SHA256", newest=False
            )
            assert is_rsa(found) == expected, (name, kind)


def test_the_default_may_be_both_too(serve: ServeFixture, tmp_path: Path) -> None:
    site = serve(
        hello,
        **options_of(
            issued(tmp_path, "localhost", key_type=RSA),
            issued(tmp_path, "other.example"),
            issued(tmp_path, "localhost"),
        ),
    )
    for kind, expected in (("ECDSA", False), ("RSA", True)):
        found = certificate_for(site, None, ciphers=f"ECDHE-{kind}-AES128-GCM-SHA256", newest=False)
        assert is_rsa(found) == expected


@pytest.mark.no_http2("its client speaks HTTP/1.1 alone")
def test_a_session_is_resumed_under_another_certificate_than_the_first(
    serve: ServeFixture, tmp_path: Path
) -> None:
    site = serve(
        Echo(), **options_of(issued(tmp_path, "first.example"), issued(tmp_path, "localhost"))
    )
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    session = None
    for resumed in (False, True, True):
        with site.connect(tls=None) as wire:
            tls = context.wrap_socket(wire.socket, server_hostname="localhost", session=session)
            wire.socket, session = tls, tls.session
            assert tls.session_reused is resumed
            assert environ_of(wire.ask())["SSL_TLS_SNI"] == "localhost"


def test_each_certificate_has_a_key_or_none_is_named(tmp_path: Path) -> None:
    first, second = issued(tmp_path, "first.example"), issued(tmp_path, "second.example")
    both = options_of(first, second)
    assert refused(**{**both, "keyfile": [first.keyfile]}).startswith(
        "keyfile: there are 1 of them and 2 of certfile: name one for each"
    )
    assert refused(**{**both, "keyfile": [second.keyfile, first.keyfile]}) == (
        f'keyfile: "{second.keyfile}": it is not the key of the certificate in certfile'
    )


def test_a_key_may_be_with_its_certificate_beside_another_that_is_apart(
    serve: ServeFixture, tmp_path: Path
) -> None:
    apart = issued(tmp_path, "apart.example")
    together = tmp_path / "localhost.pem"
    authority().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(together)
    site = serve(
        hello,
        certfile=[apart.certfile, str(together)],
        keyfile=[apart.keyfile, str(together)],
    )
    assert asked(site, client_context()).status == 200
