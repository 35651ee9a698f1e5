"""HTTPS: certificates that clients are asked for, and files of the server's own."""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from harness.apps import Echo, hello
from harness.certificates import Files, authority, client_context, write
from harness.https import asked, certificate_of, refused
from harness.process import TESTS, run_server
from harness.proxyhead import environ_of

if TYPE_CHECKING:
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture


@pytest.fixture
def ca_certs(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(path)
    return str(path)


def with_certificate(ca: trustme.CA, folder: Path) -> ssl.SSLContext:
    files = write(ca.issue_cert("client@example.org", common_name="Ada"), folder, "client")
    context = client_context()
    context.load_cert_chain(files.certfile, files.keyfile)
    return context


@pytest.mark.parametrize("cert_reqs", ["optional", "required"])
def test_a_clients_certificate_is_shown(
    serve: ServeFixture, options: dict[str, object], ca_certs: str, tmp_path: Path, cert_reqs: str
) -> None:
    site = serve(Echo(), ca_certs=ca_certs, cert_reqs=cert_reqs, **options)
    environ = environ_of(asked(site, with_certificate(authority(), tmp_path)))
    assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert environ["SSL_CLIENT_CERT"].startswith("-----BEGIN CERTIFICATE-----")
    assert "CN=Ada" in environ["SSL_CLIENT_S_DN"]
    assert "trustme" in environ["SSL_CLIENT_I_DN"]


def test_without_one_an_optional_is_none_and_a_required_refused(
    serve: ServeFixture, options: dict[str, object], ca_certs: str, error_log: LogWatch
) -> None:
    optional = serve(Echo(), ca_certs=ca_certs, cert_reqs="optional", **options)
    assert environ_of(optional.ask())["SSL_CLIENT_VERIFY"] == "NONE"
    required = serve(Echo(), ca_certs=ca_certs, cert_reqs="required", **options)
    with pytest.raises((ssl.SSLError, ConnectionError)):  # the alert, or what follows
        required.ask()
    error_log.wait_for("its TLS handshake failed: peer did not return a certificate")


@pytest.mark.parametrize("cert_reqs", ["optional", "required"])
def test_a_certificate_of_a_stranger_is_refused(
    serve: ServeFixture, options: dict[str, object], ca_certs: str, tmp_path: Path, cert_reqs: str
) -> None:
    site = serve(Echo(), ca_certs=ca_certs, cert_reqs=cert_reqs, **options)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        asked(site, with_certificate(trustme.CA(), tmp_path))


def test_workers_serve_it_and_a_reload_takes_the_new_certificate(
    engine: str, tmp_path: Path
) -> None:
    first = write(authority().issue_cert("localhost"), tmp_path, "served")
    arguments = ["--certfile", first.certfile, "--keyfile", first.keyfile, "--workers", "2"]
    with run_server("apps.plain:app", engine, *arguments) as server:
        assert server.url.startswith("https://")
        before = certificate_of(server.address)
        Path(first.keyfile).write_text("no key")
        server.signal(signal.SIGHUP)
        server.wait_for_line("there is no private key")
        assert certificate_of(server.address) == before
        write(authority().issue_cert("localhost"), tmp_path, "served")
        server.signal(signal.SIGHUP)
        server.wait_for_line("(?s)there is no private key.*reloading.*has ended.*has ended")
        assert certificate_of(server.address) != before


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return write(authority().issue_cert("localhost"), tmp_path, "own")


def test_files_that_are_missing_or_wrong_are_named(files: Files, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    text = tmp_path / "text.pem"
    text.write_text("text")
    missing = "No such file or directory"
    assert refused(certfile=str(nothing)) == f'certfile: "{nothing}": {missing}'
    assert refused(certfile=str(text)) == f'certfile: "{text}": there is no certificate (PEM) in it'
    assert refused(certfile=files.certfile) == (
        f'certfile: "{files.certfile}": there is no private key (PEM) in it: name its file in '
        "keyfile"
    )
    both = {"certfile": files.certfile}
    assert refused(**both, keyfile=str(nothing)) == f'keyfile: "{nothing}": {missing}'
    assert refused(**both, keyfile=str(text)) == (
        f'keyfile: "{text}": there is no private key (PEM) in it'
    )
    for key_type in trustme.KeyType:  # the certificate's is one of them
        leaf = authority().issue_cert("localhost", key_type=key_type)
        other = write(leaf, tmp_path, "other")
        assert refused(**both, keyfile=other.keyfile) == (
            f'keyfile: "{other.keyfile}": it is not the key of the certificate in certfile'
        )


def test_options_without_their_company_are_refused(files: Files) -> None:
    assert refused(keyfile=files.keyfile) == "keyfile: it needs certfile"
    assert refused(cert_reqs="required") == "cert_reqs: it needs certfile"
    both: dict[str, object] = {"certfile": files.certfile, "keyfile": files.keyfile}
    assert refused(**both, cert_reqs="optional") == (
        'cert_reqs: "optional": it needs ca_certs, whose certificates are trusted'
    )
    assert refused(**both, ciphers="NONSENSE") == (
        'ciphers: "NONSENSE": OpenSSL knows no cipher suite of TLS 1.2 in it'
    )


def test_a_key_may_be_encrypted(serve: ServeFixture, files: Files, tmp_path: Path) -> None:
    encrypted = tmp_path / "encrypted.key"
    command = ["openssl", "pkey", "-aes256", "-passout"]
    paths = ["-in", files.keyfile, "-out", str(encrypted)]
    subprocess.run([*command, "pass:open sesame", *paths], check=True)
    both: dict[str, object] = {"certfile": files.certfile, "keyfile": str(encrypted)}
    assert refused(**both) == (
        f'keyfile: "{encrypted}": the key is encrypted: give its password in keyfile_password'
    )
    assert refused(**both, keyfile_password="no") == (
        f'keyfile: "{encrypted}": keyfile_password does not open it'
    )
    assert serve(hello, **both, keyfile_password="open sesame").ask().status == 200


def pkcs12(files: Files, path: Path, password: str) -> str:
    command = ["openssl", "pkcs12", "-export", "-in", files.certfile, "-inkey", files.keyfile]
    command += ["-out", str(path), "-passout", f"pass:{password}"]
    subprocess.run(command, check=True)
    return str(path)


def test_a_certificate_may_come_with_its_key_as_pkcs12(
    serve: ServeFixture, files: Files, tmp_path: Path
) -> None:
    plain = pkcs12(files, tmp_path / "plain.p12", "")
    assert serve(hello, certfile=plain, keyfile=()).ask().status == 200
    locked = pkcs12(files, tmp_path / "locked.pfx", "open sesame")
    assert refused(certfile=locked) == (
        f'certfile: "{locked}": it is encrypted: give its password in keyfile_password'
    )
    assert refused(certfile=locked, keyfile_password="no") == (
        f'certfile: "{locked}": keyfile_password does not open it'
    )
    assert refused(certfile=locked, keyfile=files.keyfile, keyfile_password="open sesame") == (
        f'keyfile: "{files.keyfile}": the key is in certfile, a PKCS#12 file'
    )
    assert (
        serve(hello, certfile=locked, keyfile=(), keyfile_password="open sesame").ask().status
        == 200
    )
    Path(plain).write_bytes(Path(plain).read_bytes()[:100])
    assert refused(certfile=plain) == f'certfile: "{plain}": it is neither PEM nor PKCS#12'


def test_certificate_and_key_may_be_in_one_file(serve: ServeFixture, tmp_path: Path) -> None:
    leaf = authority().issue_cert("localhost")
    both = tmp_path / "both.pem"
    leaf.private_key_and_cert_chain_pem.write_to_path(both)
    assert serve(hello, certfile=str(both), keyfile=()).ask().status == 200


def test_the_check_shows_no_password_and_reads_the_files(files: Files) -> None:
    command = [sys.executable, "-m", "prowingen_wsgi", "apps.plain:app", "--check"]
    command += ["--certfile", files.certfile, "--keyfile", files.keyfile]
    command += ["--keyfile-password", "open sesame"]
    told = subprocess.run(command, capture_output=True, text=True, cwd=TESTS)
    assert told.returncode == 0, told.stderr
    assert "***" in told.stdout
    assert "sesame" not in told.stdout
    assert "the certificate of localhost" in told.stdout
    assert "is valid until" in told.stdout
    Path(files.keyfile).write_text("")
    told = subprocess.run(command, capture_output=True, text=True, cwd=TESTS)
    assert told.returncode != 0
    assert "there is no private key (PEM) in it" in told.stderr
