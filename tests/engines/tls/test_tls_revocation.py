"""HTTPS: certificates of clients that are revoked, and an authority's word on the server's own."""

from __future__ import annotations

import datetime
import re
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp

from harness.apps import Echo, hello
from harness.certificates import authority, authority_file, client_context, write
from harness.https import asked, refused
from harness.proxyhead import environ_of

if TYPE_CHECKING:
    from pathlib import Path

    import trustme
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from harness.certificates import Files
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site

HOUR = datetime.timedelta(hours=1)


def authority_certificate() -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority().cert_pem.bytes())


def authority_key() -> EllipticCurvePrivateKey:
    key: EllipticCurvePrivateKey = load_pem_private_key(  # type: ignore[assignment]
        authority().private_key_pem.bytes(), None
    )
    return key


def certificate_of(leaf: trustme.LeafCert) -> x509.Certificate:
    return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


# ---------------------------------------------------------------------------- clients


def write_list(path: Path, *revoked: trustme.LeafCert, until: datetime.timedelta = HOUR) -> str:
    """The authority's list of revoked certificates."""
    listed = x509.CertificateRevocationListBuilder(
        issuer_name=authority_certificate().subject,
        last_update=now() - 2 * HOUR,
        next_update=now() + until,
        revoked_certificates=[
            x509.RevokedCertificateBuilder()
            .serial_number(certificate_of(leaf).serial_number)
            .revocation_date(now() - HOUR)
            .build()
            for leaf in revoked
        ],
    )
    path.write_bytes(listed.sign(authority_key(), hashes.SHA256()).public_bytes(Encoding.PEM))
    return str(path)


def context_with(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = client_context()
    leaf.configure_cert(context)
    return context


def is_refused(site: Site, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> bool:
    """By the handshake, or by what follows it."""
    try:
        with site.connect(tls=None) as wire:
            wire.socket = context.wrap_socket(
                wire.socket, server_hostname="localhost", session=session
            )
            return wire.ask().status != 200
    except (ssl.SSLError, ConnectionError):
        return True


@pytest.mark.no_http2("its client speaks HTTP/1.1 alone")
def test_a_certificate_that_is_revoked_is_refused_and_others_are_not(
    serve: ServeFixture, options: dict[str, object], tmp_path: Path, error_log: LogWatch
) -> None:
    good, bad = (authority().issue_cert(f"{name}@example.org") for name in ("good", "bad"))
    path = tmp_path / "crl.pem"
    site = serve(
        Echo(),
        ca_certs=authority_file(),
        cert_reqs="required",
        crl=[write_list(path, bad)],
        **options,
    )
    assert environ_of(asked(site, context_with(good)))["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert is_refused(site, context_with(bad))
    error_log.wait_for("its TLS handshake failed: certificate verify failed")
    write_list(path, good, bad)
    site.server.renew_certificates()
    assert is_refused(site, context_with(good)), "a list is read anew as certificates are"


@pytest.mark.no_http2("its client speaks HTTP/1.1 alone")
def test_no_session_of_a_client_outlives_its_revocation(
    serve: ServeFixture, options: dict[str, object], tmp_path: Path
) -> None:
    leaf = authority().issue_cert("client@example.org")
    context = context_with(leaf)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    path = tmp_path / "crl.pem"
    site = serve(
        hello,
        ca_certs=authority_file(),
        cert_reqs="required",
        crl=[write_list(path)],
        **options,
    )
    with site.connect(tls=None) as wire:
        tls = context.wrap_socket(wire.socket, server_hostname="localhost")
        wire.socket, session = tls, tls.session
        assert wire.ask().status == 200
    write_list(path, leaf)
    site.server.renew_certificates()
    assert is_refused(site, context, session)


def test_a_list_that_is_out_of_date_is_told(
    serve: ServeFixture, options: dict[str, object], tmp_path: Path, error_log: LogWatch
) -> None:
    outdated = write_list(tmp_path / "crl.pem", until=-HOUR)
    site = serve(hello, ca_certs=authority_file(), cert_reqs="required", crl=[outdated], **options)
    error_log.wait_for("WARNING crl:", "is out of date: its certificates are refused")
    assert is_refused(site, context_with(authority().issue_cert("client@example.org")))


def test_lists_that_cannot_be_used_are_named(options: dict[str, object], tmp_path: Path) -> None:
    wanted = {"ca_certs": authority_file(), "cert_reqs": "required", **options}
    text = tmp_path / "text.pem"
    text.write_text("text")
    nothing = "there is no list of revoked certificates (PEM) in it"
    assert refused(crl=[str(text)], **wanted) == f'crl: "{text}": {nothing}'
    assert refused(crl=[str(text)], **options) == "crl: it needs cert_reqs, optional or required"


# ---------------------------------------------------------------------------- the server's own


def write_response(path: Path, leaf: trustme.LeafCert, until: datetime.timedelta = HOUR) -> str:
    response = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=certificate_of(leaf),
            issuer=authority_certificate(),
            algorithm=hashes.SHA1(),  # as responders know issuers (RFC 5019)
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=now() - 2 * HOUR,
            next_update=now() + until,
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.NAME, authority_certificate())
        .sign(authority_key(), hashes.SHA256())
    )
    path.write_bytes(response.public_bytes(Encoding.DER))
    return str(path)


def told(site: Site, name: str) -> str:
    """The serial number that a handshake's OCSP response is about, or what OpenSSL says of none."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-status"]
    said = subprocess.run(
        [*command, "-servername", name, "-alpn", "http/1.1"],
        input="",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    ).stdout
    found = re.search(r"Serial Number: ([0-9A-F]+)\s+Cert Status: good|OCSP response: no.*", said)
    assert found, said
    return found.group(1) or "none"


def serial_of(leaf: trustme.LeafCert) -> str:
    number = f"{certificate_of(leaf).serial_number:X}"
    return number.zfill(len(number) + len(number) % 2)


@pytest.fixture
def leaves(tmp_path: Path) -> list[tuple[trustme.LeafCert, Files]]:
    names = ("localhost", "other.example", "third.example")
    leaves = [authority().issue_cert(name) for name in names]
    return [(leaf, write(leaf, tmp_path, name)) for name, leaf in zip(names, leaves, strict=True)]


def test_a_response_goes_with_the_certificate_that_it_is_about(
    serve: ServeFixture, leaves: list[tuple[trustme.LeafCert, Files]], tmp_path: Path
) -> None:
    (first, _), (second, _), _ = leaves
    path = tmp_path / "first.ocsp"
    site = serve(
        hello,
        certfile=[files.certfile for _, files in leaves],
        keyfile=[files.keyfile for _, files in leaves],
        ocsp_file=[write_response(tmp_path / "second.ocsp", second), write_response(path, first)],
    )
    assert told(site, "localhost") == serial_of(first)
    assert told(site, "other.example") == serial_of(second)
    assert told(site, "third.example") == "none"
    write_response(path, first, until=-HOUR)
    site.server.renew_certificates()
    assert told(site, "localhost") == "none", "one that is out of date would be worse than none"


def test_a_response_that_is_out_of_date_is_told(
    serve: ServeFixture,
    leaves: list[tuple[trustme.LeafCert, Files]],
    tmp_path: Path,
    error_log: LogWatch,
) -> None:
    leaf, files = leaves[0]
    outdated = write_response(tmp_path / "ocsp", leaf, until=-HOUR)
    serve(hello, ocsp_file=[outdated], certfile=files.certfile, keyfile=files.keyfile)
    error_log.wait_for("WARNING ocsp_file:", "handshakes go without it")


def test_responses_that_cannot_be_used_are_named(
    leaves: list[tuple[trustme.LeafCert, Files]], tmp_path: Path
) -> None:
    files = leaves[0][1]
    both = {"certfile": files.certfile, "keyfile": files.keyfile}
    text = tmp_path / "text"
    text.write_text("text")
    assert refused(ocsp_file=[str(text)], **both) == (
        f'ocsp_file: "{text}": it is no OCSP response (DER)'
    )
    others = write_response(tmp_path / "others", leaves[1][0])
    assert refused(ocsp_file=[others], **both) == (
        f'ocsp_file: "{others}": it is about no certificate in certfile'
    )
    late = tmp_path / "late"
    unsuccessful = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    late.write_bytes(unsuccessful.public_bytes(Encoding.DER))
    assert refused(ocsp_file=[str(late)], **both) == (
        f'ocsp_file: "{late}": the authority has not answered: trylater'
    )
    assert refused(ocsp_file=[str(late)]) == "ocsp_file: it needs certfile"
