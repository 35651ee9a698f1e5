"""HTTPS for development: `prowingen dev-cert`, and `--https`."""

from __future__ import annotations

import datetime
import os
import ssl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from prowingen_wsgi import ConfigError
from prowingen_wsgi.development_certificates import DevelopmentCertificates

from harness.apps import hello
from harness.https import asked
from harness.process import TESTS, run_server
from harness.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path

    from harness.site import ServeFixture


@pytest.fixture
def made(tmp_path: Path) -> DevelopmentCertificates:
    files = DevelopmentCertificates(tmp_path / "folder")
    files.make()
    return files


def test_a_client_that_trusts_the_authority_gets_through(
    serve: ServeFixture, made: DevelopmentCertificates
) -> None:
    context = ssl.create_default_context(cafile=str(made.authority))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    site = serve(hello, certfile=str(made.certificate), keyfile=())
    for name in ("localhost", "127.0.0.1", "::1"):
        with Wire(site.address) as wire:
            wire.socket = context.wrap_socket(wire.socket, server_hostname=name)
            assert wire.ask().status == 200


def test_the_authority_can_vouch_for_nobody_else(made: DevelopmentCertificates) -> None:
    folder = made.authority.parent
    key = load_pem_private_key((folder / "authority-with-key.pem").read_bytes(), None)
    authority = x509.load_pem_x509_certificate(made.authority.read_bytes())
    now = datetime.datetime.now(datetime.timezone.utc)
    forged = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())  # type: ignore[arg-type]
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("example.org")]), critical=True)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    policy = PolicyBuilder().store(Store([authority]))
    verifier = policy.build_server_verifier(x509.DNSName("example.org"))
    with pytest.raises(VerificationError):
        verifier.verify(forged, [])


def test_what_is_there_stays_until_it_expires(made: DevelopmentCertificates) -> None:
    authority, certificate = made.authority.read_text(), made.certificate.read_text()
    made.make()
    assert made.certificate.read_text() == certificate
    made.make(anew=True)
    assert made.certificate.read_text() != certificate
    assert made.authority.read_text() == authority
    certificate = made.certificate.read_text()
    long_ago = made.certificate.stat().st_mtime - 301 * 86400
    for path in made.authority.parent.iterdir():
        os.utime(path, (long_ago, long_ago))
    made.make()
    assert made.certificate.read_text() != certificate
    made.authority.unlink()
    made.make()
    assert made.authority.read_text() == authority


def test_only_their_user_can_read_the_keys(made: DevelopmentCertificates) -> None:
    for path in made.authority.parent.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_two_may_make_them_at_once(tmp_path: Path) -> None:
    both = [DevelopmentCertificates(tmp_path) for _ in range(4)]
    threads = [threading.Thread(target=each.make) for each in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both[0].certificate)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "authority-with-key.pem",
        "authority.pem",
        "localhost.pem",
    ]


def command(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prowingen_wsgi", *arguments],
        capture_output=True,
        text=True,
        cwd=TESTS,
        env={**os.environ, "XDG_DATA_HOME": str(data)},
        timeout=20,
        check=False,
    )


def test_the_command_says_where_they_are_and_what_to_do(tmp_path: Path) -> None:
    told = command("dev-cert", data=tmp_path)
    assert told.returncode == 0, told.stderr
    folder = tmp_path / "prowingen"
    assert f"authority    {folder}/authority.pem" in told.stdout
    assert "prowingen module:app --https" in told.stdout
    elsewhere = tmp_path / "else where"
    told = command("dev-cert", "--folder", str(elsewhere), data=tmp_path)
    assert f"--certfile '{elsewhere}/localhost.pem'" in told.stdout
    blocked = tmp_path / "file"
    blocked.write_text("")
    told = command("dev-cert", "--folder", str(blocked), data=tmp_path)
    assert (told.returncode, told.stderr) == (1, f'prowingen: "{blocked}": File exists\n')


@pytest.mark.parametrize("workers", [0, 1])
def test_https_just_works(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    arguments = ["--https", "--workers", str(workers)]
    with run_server("apps.plain:app", engine, *arguments) as server:
        assert server.url.startswith("https://")
        authority = tmp_path / "prowingen" / "authority.pem"
        context = ssl.create_default_context(cafile=str(authority))
        with server.connect() as wire:
            wire.socket = context.wrap_socket(wire.socket, server_hostname="localhost")
            assert wire.ask().status == 200


def test_a_program_has_it_too(
    serve: ServeFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    site = serve(hello, https=True, certfile=(), keyfile=())
    assert site.url.startswith("https://")
    authority = tmp_path / "prowingen" / "authority.pem"
    assert asked(site, ssl.create_default_context(cafile=str(authority))).status == 200


def test_it_does_not_go_with_another_certificate(tmp_path: Path) -> None:
    told = command("apps.plain:app", "--https", "--certfile", "x.pem", "--check", data=tmp_path)
    assert told.returncode == 2
    assert "--https: it does not go with certfile" in told.stderr


@pytest.mark.parametrize("name", ["authority.pem", "localhost.pem"])
def test_what_others_have_made_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("of somebody else")
    with pytest.raises(ConfigError, match=f'{name}" is there already'):
        DevelopmentCertificates(tmp_path).make(anew=True)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        (name, "of somebody else")
    ]
