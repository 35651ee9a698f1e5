"""HTTPS: certificates that an authority issues to the server itself (RFC 8555)."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import acme_times
from prowingen_wsgi.acme_folder import AcmeFolder

from harness.acme_authority import AcmeAuthority, asked_by_authority
from harness.apps import hello
from harness.certificates import authority_file, server_files
from harness.hello import Hello
from harness.site import address_of
from harness.waiting import eventually
from harness.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site

pytestmark = pytest.mark.no_http2("it is about what comes before HTTP, on any version of it")

NAME = "www.example.test"
OTHER = "shop.example.test"
ISSUED = f"INFO acme: {NAME}: a certificate was issued, valid until "


# It outlives every server, by coming before all of them: a connection that is begun while its
# listener closes is reset, and ssl leaves the socket of such a one to the garbage collector.
@pytest.fixture(autouse=True)
def authority(monkeypatch: pytest.MonkeyPatch) -> Iterator[AcmeAuthority]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority_file())
    monkeypatch.setattr(acme_times, "WHILE_UNHEARD", (0.05, 0.1))
    monkeypatch.setattr(acme_times, "AFTER_FAILURE", (0.05, 0.1))
    with AcmeAuthority().running() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> AcmeFolder:
    return AcmeFolder(tmp_path / "acme")


@pytest.fixture
def options(authority: AcmeAuthority, folder: AcmeFolder) -> dict[str, object]:
    return {
        "acme_domain": NAME,
        "acme_directory": authority.directory,
        "acme_folder": str(folder.path),
        "redirect_http": "127.0.0.1:0",
        "certfile": (),
        "keyfile": (),
    }


@pytest.fixture
def start(serve: ServeFixture, authority: AcmeAuthority) -> Any:
    """Starts a server that the authority finds."""

    def started(**options: Any) -> Site:
        site = serve(hello, **options)
        redirects = site.server.redirects
        http = address_of(redirects[0])[1] if redirects else 0
        assert isinstance(http, int)
        authority.look_at(tls=site.port, http=http)
        return site

    return started


def hold(folder: AcmeFolder, authority: AcmeAuthority, name: str = NAME) -> None:
    """As after an earlier life of a server, two months ago."""
    folder.prepare()
    authority.age = timedelta(days=70)
    folder.keep_issued(name, authority.directory, *authority.issue(name))
    authority.age = timedelta(0)


def shown(site: Site, context: ssl.SSLContext, name: str = NAME) -> bytes:
    """The certificate that a client is shown, and takes."""
    with (
        socket.create_connection(("127.0.0.1", site.port), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=name) as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


def trusts_anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# ---------------------------------------------------------------------------- the first one


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_the_first_certificate_is_issued_while_it_is_served(
    start: Any,
    options: dict[str, object],
    authority: AcmeAuthority,
    folder: AcmeFolder,
    error_log: LogWatch,
    challenge: str,
) -> None:
    site = start(acme_challenge=challenge, acme_email="me@example.test", **options)
    assert shown(site, trusts_anybody()), "served from the start"
    error_log.wait_for(ISSUED)
    site.server.renew_certificates()
    assert shown(site, authority.client_context())
    with site.connect(tls=authority.client_context(), server_name=NAME) as wire:
        assert wire.ask().status == 200
    assert authority.looked == [(NAME, challenge)]
    assert list(authority.contacts.values()) == [["mailto:me@example.test"]]
    assert list((folder.path / "challenges").iterdir()) == [], "nothing is left to be asked for"
    assert [each.name for each in (folder.path / "certificates").iterdir()] == [f"{NAME}.pem"]
    for each in folder.path.rglob("*"):
        assert stat.S_IMODE(each.stat().st_mode) & 0o077 == 0, f"{each} is readable by others"


def test_a_new_certificate_is_served_by_itself(
    start: Any, options: dict[str, object], authority: AcmeAuthority, error_log: LogWatch
) -> None:
    site = start(**options)
    error_log.wait_for(ISSUED)
    error_log.wait_for("INFO certificates were read anew", timeout=15)
    assert shown(site, authority.client_context())


def test_challenges_of_clients_certificates_and_old_tls_are_not_in_the_way(
    start: Any, options: dict[str, object], authority: AcmeAuthority, error_log: LogWatch
) -> None:
    """An authority has no certificate to show, and does not speak HTTP."""
    asks = {"cert_reqs": "required", "ca_certs": authority_file()}
    start(tls_profile="modern", http="2", **asks, **options)
    error_log.wait_for(ISSUED)
    assert authority.looked == [(NAME, "tls-alpn-01")]


def test_it_goes_beside_certificates_of_files(
    start: Any, options: dict[str, object], authority: AcmeAuthority, error_log: LogWatch
) -> None:
    site = start(**options | vars(server_files()))
    error_log.wait_for(ISSUED)
    site.server.renew_certificates()
    assert shown(site, authority.client_context())
    assert shown(site, site.tls, "localhost")


# ---------------------------------------------------------------------------- renewal


def test_it_is_renewed_under_load_and_no_request_fails(
    start: Any,
    options: dict[str, object],
    authority: AcmeAuthority,
    folder: AcmeFolder,
    error_log: LogWatch,
) -> None:
    hold(folder, authority)
    context = authority.client_context()
    site = start(**options)
    before = shown(site, context)
    over = threading.Event()
    answered: list[int] = []
    failed: list[BaseException] = []

    def come_again_and_again() -> None:
        try:
            while not over.is_set():
                with site.connect(tls=context, server_name=NAME) as wire:
                    answered.append(wire.ask("/", "Connection: close").status)
        except BaseException as error:  # noqa: BLE001  # any is the test's failure
            failed.append(error)

    clients = [threading.Thread(target=come_again_and_again) for _ in range(2)]
    with site.connect(tls=context, server_name=NAME) as kept:
        assert kept.ask().status == 200
        for client in clients:
            client.start()
        try:
            error_log.wait_for(ISSUED)
            assert eventually(lambda: shown(site, context) != before)
        finally:
            over.set()
            for client in clients:
                client.join()
        assert kept.ask().status == 200
    assert failed == []
    assert set(answered) == {200}


def test_a_certificate_of_before_is_served_at_once_and_the_account_is_kept(
    serve: ServeFixture,
    start: Any,
    options: dict[str, object],
    authority: AcmeAuthority,
    folder: AcmeFolder,
    error_log: LogWatch,
) -> None:
    first = start(**options)
    error_log.wait_for(ISSUED)
    first.server.stop()
    again = serve(hello, **options)
    assert shown(again, authority.client_context())
    assert len(authority.issued) == 1
    again.server.stop()
    folder.certificate_file(NAME).unlink()
    (folder.path / "state.json").unlink()
    error_log.clear()
    start(**options)
    error_log.wait_for(ISSUED)
    assert len(authority.issued) == 2
    assert len(authority.accounts) == 1


def test_another_authority_issues_its_own(
    start: Any,
    options: dict[str, object],
    authority: AcmeAuthority,
    folder: AcmeFolder,
    error_log: LogWatch,
) -> None:
    """As after a trial with one that nobody trusts."""
    folder.prepare()
    folder.keep_issued(NAME, "https://trial.example.test/directory", *authority.issue(NAME))
    folder.keep_account({"directory": "https://trial.example.test/directory", "uri": "x"})
    start(**options)
    error_log.wait_for(ISSUED)
    assert authority.issued == [NAME]


def test_an_authority_that_has_forgotten_the_account_makes_a_new_one(
    start: Any,
    options: dict[str, object],
    authority: AcmeAuthority,
    folder: AcmeFolder,
    error_log: LogWatch,
) -> None:
    folder.prepare()
    folder.keep_account({"directory": authority.directory, "uri": f"{authority.url}/account/9"})
    start(**options)
    error_log.wait_for("knows the account no more")
    error_log.wait_for(ISSUED)


# ---------------------------------------------------------------------------- what goes wrong


def test_an_authority_that_is_down_leaves_what_is_served_and_is_asked_again(
    start: Any,
    options: dict[str, object],
    authority: AcmeAuthority,
    folder: AcmeFolder,
    error_log: LogWatch,
) -> None:
    hold(folder, authority)
    authority.is_down = True
    site = start(**options)
    for _ in range(2):
        error_log.wait_for(
            f"ERROR acme: {NAME}: {authority.directory} cannot be reached: ",
            "; next try in ",
            "; the certificate of before stays in use, valid until ",
        )
        error_log.clear()
    assert shown(site, authority.client_context())
    authority.is_down = False
    error_log.wait_for(ISSUED)


def test_a_name_that_is_refused_is_said_and_holds_up_no_other(
    start: Any, options: dict[str, object], authority: AcmeAuthority, error_log: LogWatch
) -> None:
    authority.refused.add(OTHER)
    start(**options | {"acme_domain": (OTHER, NAME)})
    error_log.wait_for(
        f"ERROR acme: {OTHER}: {authority.directory} says: nothing is issued for {OTHER}: it is "
        "forbidden (rejectedIdentifier); next try in ",
        "; until then browsers warn of the certificate",
    )
    error_log.wait_for(ISSUED)


def test_a_challenge_that_fails_is_followed_by_the_other_kind(
    serve: ServeFixture, options: dict[str, object], authority: AcmeAuthority, error_log: LogWatch
) -> None:
    site = serve(hello, **options)
    port = address_of(site.server.redirects[0])[1]
    assert isinstance(port, int)
    authority.look_at(tls=0, http=port)
    error_log.wait_for(
        f"ERROR acme: {NAME}: the authority found no answer to its challenge tls-alpn-01: "
        "127.0.0.1: ",
        f"Connection refused (connection): port 443 of {NAME} has to lead here, with TLS as it is; "
        "next try in ",
    )
    error_log.wait_for(ISSUED)
    assert authority.looked == [(NAME, "tls-alpn-01"), (NAME, "http-01")]


def test_a_server_that_stops_in_a_challenge_leaves_nothing_of_it(
    serve: ServeFixture, options: dict[str, object], folder: AcmeFolder
) -> None:
    site = serve(hello, **options)
    challenges = folder.path / "challenges"
    assert eventually(lambda: any(challenges.glob("[!.]*")))
    site.server.stop()
    assert site.server.abandoned == []
    assert list(challenges.iterdir()) == []
    assert "prowingen-acme" not in {each.name for each in threading.enumerate()}


def test_a_server_that_stops_while_nobody_answers_leaves_nothing_of_a_challenge(
    serve: ServeFixture,
    options: dict[str, object],
    authority: AcmeAuthority,
    folder: AcmeFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over, post = threading.Event(), authority.post

    def late(path: str, body: bytes) -> Any:
        if path.startswith("/challenge/"):
            over.wait(30)
        return post(path, body)

    monkeypatch.setattr(authority, "post", late)
    site = serve(hello, **options)
    challenges = folder.path / "challenges"
    try:
        assert eventually(lambda: any(challenges.glob("[!.]*")))
        site.server.stop()
        assert list(challenges.iterdir()) == []
    finally:
        over.set()
    assert eventually(lambda: "prowingen-acme" not in {each.name for each in threading.enumerate()})


# ---------------------------------------------------------------------------- who may see an answer


@contextmanager
def answering(folder: AcmeFolder, file: str, text: str) -> Iterator[None]:
    """As the server's own thread does, which is kept from it."""
    with ExitStack() as stack:
        assert eventually(lambda: stack.enter_context(folder.lock()))
        with folder.answering(file, text):
            yield


def test_nobody_gets_the_authoritys_protocol_without_a_challenge(
    start: Any, options: dict[str, object], authority: AcmeAuthority, folder: AcmeFolder
) -> None:
    authority.is_down = True
    site = start(**options)
    elsewhere = folder.path / "challenges" / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / f"{NAME}.pem").write_text("".join(authority.issue(NAME)))
    for name in (NAME, OTHER, f"elsewhere/{NAME}"):
        with pytest.raises(OSError), asked_by_authority(site.port, name):  # noqa: PT011
            pass


def test_an_answer_is_for_who_asks_as_an_authority_does(
    start: Any, options: dict[str, object], authority: AcmeAuthority, folder: AcmeFolder
) -> None:
    hold(folder, authority)
    authority.is_down = True
    site = start(**options)
    chain, key = authority.issue(NAME)
    with answering(folder, f"{NAME}.pem", chain + key):
        context = authority.client_context()
        context.set_alpn_protocols(["acme-tls/1", "http/1.1"])
        with (
            socket.create_connection(("127.0.0.1", site.port), timeout=5) as connection,
            context.wrap_socket(connection, server_hostname=NAME) as tls,
        ):
            assert tls.selected_alpn_protocol() == "http/1.1"
        with asked_by_authority(site.port, NAME.upper()) as tls:
            assert tls.selected_alpn_protocol() == "acme-tls/1"
            assert tls.recv(1) == b"", "no data follows"
        assert site.server.stats()["requests_taken"] == 0


@pytest.mark.parametrize(
    "second",
    [(NAME, "http/1.1"), (NAME,), ("",), ("", "acme-tls/1"), (OTHER, "acme-tls/1")],
    ids=repr,
)
def test_who_has_asked_as_an_authority_does_goes_on_as_nobody_else(
    start: Any,
    options: dict[str, object],
    authority: AcmeAuthority,
    folder: AcmeFolder,
    second: tuple[str, ...],
) -> None:
    """An authority is asked for no certificate, and who is, might begin as one."""
    hold(folder, authority)
    authority.is_down = True
    site = start(cert_reqs="required", ca_certs=authority_file(), **options)
    chain, key = authority.issue(NAME)
    with answering(folder, f"{NAME}.pem", chain + key):
        with Hello(site.port) as client:
            client.begin(NAME, "acme-tls/1")
            assert client.go_on(*second) == (21, b"\x02\x2f"), "an alert: illegal_parameter"
        with Hello(site.port) as client:
            client.begin(NAME, "acme-tls/1")
            assert client.go_on(NAME, "acme-tls/1")[1].startswith(b"\x02"), "a ServerHello"


def test_answers_by_http_are_those_of_tokens_alone(
    start: Any, options: dict[str, object], authority: AcmeAuthority, folder: AcmeFolder
) -> None:
    authority.is_down = True
    site = start(**options)
    path = "/.well-known/acme-challenge/"
    with (
        answering(folder, "a_token-1", "the answer"),
        folder.answering(f"{NAME}.pem", "a secret"),
        Wire(address_of(site.server.redirects[0])) as wire,
    ):
        answer = wire.ask(f"{path}a_token-1")
        assert (answer.status, answer.body) == (200, b"the answer")
        assert answer.get("content-type") == "application/octet-stream"
        assert wire.ask(f"{path}a_token-1", method="HEAD").body == b""
        for other in (
            *("", "a_token-2", f"{NAME}.pem", "../lock", "..%2flock", "../account-key.pem"),
            *(".", "a_token-1/", "a_token-1?x", "x" * 5000, f"../challenges/{NAME}.pem"),
        ):
            assert wire.ask(path + other).status == 308
