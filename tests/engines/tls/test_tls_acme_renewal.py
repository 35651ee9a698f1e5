"""HTTPS: when a certificate is asked for, and what becomes of what goes wrong: one life of the
renewal after another, without a server."""

from __future__ import annotations

import errno
import json
import stat
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import Config, acme_client, acme_renewal, acme_times
from prowingen_wsgi.acme_certificates import with_acme_certificates
from prowingen_wsgi.acme_folder import AcmeFolder
from prowingen_wsgi.acme_renewal import AcmeRenewal
from prowingen_wsgi.acme_times import Tries, Validity

from harness.acme_authority import AcmeAuthority
from harness.certificates import authority_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.logwatch import LogWatch

NAME = "www.example.test"
OTHER = "shop.example.test"
HOUR = 3600.0
# In seconds: what is waited for that long is another day's.
LONG = 10.0


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Iterator[AcmeAuthority]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority_file())
    with AcmeAuthority().running() as running:
        running.trusts = True
        yield running


@pytest.fixture
def config(authority: AcmeAuthority, tmp_path: Path) -> Config:
    given = {
        "acme_domain": NAME,
        "acme_directory": authority.directory,
        "acme_folder": str(tmp_path / "acme"),
    }
    return with_acme_certificates(Config.embedded(given))


@pytest.fixture
def folder(config: Config) -> AcmeFolder:
    return AcmeFolder(Path(config.acme_folder))


class Clock:
    """As the module time, which is ahead by so many seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.monotonic = time.monotonic

    def time(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(acme_renewal, "time", clock)
    monkeypatch.setattr(acme_client, "time", clock)
    return clock


def live(config: Config, meanwhile: Callable[[], object] = lambda: None) -> float:
    """One life, until there is nothing to do; how long that is. meanwhile: is called in waits."""
    waits = []

    def pause(seconds: float) -> bool:
        meanwhile()
        waits.append(seconds)
        return seconds >= LONG or threading.Event().wait(seconds)

    AcmeRenewal(config, pause).run()
    return waits[-1]


def held(folder: AcmeFolder, authority: AcmeAuthority, days: float) -> bytes:
    """A certificate of that age."""
    authority.age = timedelta(days=days)
    folder.keep_issued(NAME, authority.directory, *authority.issue(NAME))
    authority.age = timedelta(0)
    return folder.certificate_file(NAME).read_bytes()


def tries(folder: AcmeFolder, authority: AcmeAuthority) -> Tries:
    return Tries.read(folder.tries(authority.directory, NAME))


# ---------------------------------------------------------------------------- when it is issued


def test_the_authoritys_suggestion_when_to_renew_is_followed_once(
    config: Config, authority: AcmeAuthority, folder: AcmeFolder
) -> None:
    """RFC 9773: here because it is about to revoke what it has issued; and it goes on saying so."""
    before = held(folder, authority, days=1)
    now = datetime.now(timezone.utc)
    authority.suggested = (now - timedelta(days=2), now - timedelta(days=1))
    assert live(config) > HOUR - 60
    assert authority.issued == [NAME]
    assert folder.certificate_file(NAME).read_bytes() != before
    assert live(config) > HOUR - 60, "in another life neither"
    assert authority.issued == [NAME]


def test_a_certificate_that_looks_old_when_it_comes_is_not_asked_for_at_once(
    config: Config, authority: AcmeAuthority
) -> None:
    """As by a clock that is ahead."""
    authority.age = timedelta(days=61)
    for _ in range(2):
        assert live(config) > HOUR - 60
    assert authority.issued == [NAME]


@pytest.mark.parametrize(
    ("again", "hours", "asked"),
    [
        *(("0", 2.5, 3), ("-5", 2.5, 3), ("Thu, 01 Jan 1970 00:00:00 GMT", 2.5, 3)),
        *(("-9999999999999999", 2.5, 3), ("9999999999", 25, 2), ("9" * 30, 2.5, 3)),
    ],
)
def test_suggestions_are_asked_for_once_an_hour_at_most_and_once_a_day_at_least(
    config: Config,
    authority: AcmeAuthority,
    folder: AcmeFolder,
    clock: Clock,
    again: str,
    hours: float,
    asked: int,
) -> None:
    held(folder, authority, days=1)
    now = datetime.now(timezone.utc)
    authority.suggested = (now + timedelta(days=50), now + timedelta(days=51))
    authority.again = again

    def pause(_: float) -> bool:
        clock.ahead += HOUR / 10
        return clock.ahead >= hours * HOUR

    AcmeRenewal(config, pause).run()
    assert authority.asked_when == asked
    assert authority.issued == []


def test_an_order_that_takes_a_while_is_waited_for(
    config: Config, authority: AcmeAuthority
) -> None:
    authority.busy = 2
    live(config)
    assert authority.issued == [NAME]


# ---------------------------------------------------------------------------- what fails


def fails(authority: AcmeAuthority) -> None:
    """Nobody listens where it looks."""
    authority.trusts = False
    authority.look_at(tls=0)


def test_what_has_failed_is_not_tried_sooner_in_another_life(
    config: Config, authority: AcmeAuthority, folder: AcmeFolder, clock: Clock, error_log: LogWatch
) -> None:
    fails(authority)
    assert live(config) >= 200
    for _ in range(3):
        error_log.clear()
        assert live(config) >= 120
        error_log.wait_for(f"INFO acme: {NAME}: next try in 4 min, after what was tried before")
    assert authority.looked == [(NAME, "tls-alpn-01")]
    clock.ahead = 270
    assert live(config) >= 400, "and it is the second of a row"
    assert len(authority.looked) == 2
    kept = (folder.path / "state.json").stat()
    assert stat.S_IMODE(kept.st_mode) == 0o600


def test_a_try_that_nobody_lives_to_see_the_end_of_has_failed(
    config: Config, authority: AcmeAuthority, folder: AcmeFolder
) -> None:
    authority.trusts = False
    kept = []

    def killed() -> None:
        if any((folder.path / "challenges").glob("[!.]*")):
            kept.append(json.loads((folder.path / "state.json").read_text()))
            fails(authority)

    live(config, killed)
    (of,) = kept[0][authority.directory].values()
    assert of["not_before"] > time.time() + 200


def test_a_stop_in_a_try_costs_some_seconds(
    config: Config, authority: AcmeAuthority, folder: AcmeFolder
) -> None:
    authority.trusts = False
    AcmeRenewal(config, lambda _: any((folder.path / "challenges").glob("[!.]*"))).run()
    assert 0 < tries(folder, authority).not_before - time.time() < 20


def test_kinds_of_challenges_take_turns_and_no_shorter_waits(
    config: Config, authority: AcmeAuthority, folder: AcmeFolder, clock: Clock
) -> None:
    fails(authority)
    config = replace(config, redirect_http=("127.0.0.1:0",))
    waits = []
    for _ in range(4):
        waits.append(live(config))
        clock.ahead = tries(folder, authority).not_before - time.time()
    assert [kind for _, kind in authority.looked] == ["tls-alpn-01", "http-01"] * 2
    assert [wait >= 200 * 2**count for count, wait in enumerate(waits)] == [True] * 4


def test_what_an_authority_does_not_offer_is_followed_by_what_it_does(
    config: Config, authority: AcmeAuthority, error_log: LogWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acme_times, "WHILE_UNHEARD", (0.05, 0.1))
    fails(authority)
    authority.kinds = ("http-01", "dns-01")
    live(replace(config, redirect_http=("127.0.0.1:0",)))
    error_log.wait_for(
        f"ERROR acme: {NAME}: {authority.directory} offers dns-01, http-01 for it, and not "
        "tls-alpn-01; next try in "
    )
    assert authority.looked == [(NAME, "http-01")]


def test_a_limit_that_is_reached_is_respected(
    config: Config, authority: AcmeAuthority, folder: AcmeFolder, error_log: LogWatch
) -> None:
    authority.is_limited = True
    live(config)
    error_log.wait_for("says: too many orders (rateLimited); next try in 6", " min; ")
    assert tries(folder, authority).not_before >= time.time() + HOUR - 60
    live(config)
    assert authority.ordered == 1


def test_a_clock_that_is_set_back_stops_nothing(
    config: Config, authority: AcmeAuthority, clock: Clock
) -> None:
    clock.ahead = 40 * 24 * HOUR
    fails(authority)
    assert live(config) > 200
    clock.ahead = 0.0
    authority.trusts = True
    live(config)
    assert authority.issued == [NAME]


@pytest.mark.parametrize(
    ("spoilt", "fault"),
    [
        ("<html>sorry</html>", ""),
        ("another key", "it is for another key"),
        ("another name", f"it is for {OTHER}"),
        ("expired", "it is valid until "),
    ],
)
def test_what_is_no_certificate_to_serve_by_leaves_the_one_of_before(
    config: Config,
    authority: AcmeAuthority,
    folder: AcmeFolder,
    error_log: LogWatch,
    monkeypatch: pytest.MonkeyPatch,
    spoilt: str,
    fault: str,
) -> None:
    before = held(folder, authority, days=70)
    if spoilt == "expired":
        authority.age = timedelta(days=100)
    elif spoilt == "another key":
        authority.spoil = lambda _: authority.issue(NAME)[0]
    elif spoilt == "another name":
        signed = authority._signed
        monkeypatch.setattr(authority, "_signed", lambda key, _: signed(key, [OTHER]))
    else:
        authority.spoil = lambda _: spoilt
    live(config)
    error_log.wait_for(
        f"ERROR acme: {NAME}: {authority.directory} has issued what is no certificate to serve "
        f"{NAME} by: {fault}",
        "; next try in 4 min; the certificate of before stays in use",
    )
    assert folder.certificate_file(NAME).read_bytes() == before


def test_no_certificate_is_ordered_where_there_is_no_room_to_keep_one(
    config: Config,
    authority: AcmeAuthority,
    folder: AcmeFolder,
    error_log: LogWatch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "the key")

    folder.keep_next_key(NAME, authority.issue(NAME)[1].encode())  # an earlier try's
    assert (folder.path / "certificates" / f"{NAME}.key").stat().st_size > 32 * 1024
    monkeypatch.setattr(AcmeFolder, "_write", staticmethod(full))
    assert live(config) >= 200
    error_log.wait_for(f'ERROR acme: {NAME}: acme_folder: "the key": No space left on device; ')
    assert authority.ordered == 0


def test_a_certificate_that_could_not_be_kept_is_followed_by_one_for_the_same_key(
    config: Config,
    authority: AcmeAuthority,
    folder: AcmeFolder,
    clock: Clock,
    error_log: LogWatch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(AcmeFolder, "keep_issued", full)
        live(config)
    error_log.wait_for(f'acme: {NAME}: acme_folder: "{folder.path}": No space left on device; ')
    key = folder.next_key(NAME)
    clock.ahead = 300
    live(config)
    assert authority.issued == [NAME, NAME]
    assert key is not None
    assert folder.certificate_file(NAME).read_bytes().endswith(key)
    assert folder.next_key(NAME) is None, "the one after that is another"


def test_what_the_network_needs_is_not_said_to_be_the_folders_fault(
    config: Config, authority: AcmeAuthority, error_log: LogWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    assert 10 < live(config) < 20
    error_log.wait_for(
        f"ERROR acme: {NAME}: {authority.directory} cannot be reached: ", "/nowhere/ca.pem"
    )
    assert "acme_folder" not in error_log.text


# ---------------------------------------------------------------------------- what is kept


def test_it_is_renewed_when_a_third_of_its_life_is_left_or_a_little_earlier() -> None:
    life = Validity(0.0, 90.0)
    drawn = {life.renewed_at() for _ in range(100)}
    assert 58 <= min(drawn) < max(drawn) <= 60


def test_what_fails_is_tried_ever_more_seldom() -> None:
    tries = Tries()
    waits = [tries.failed(0.0, unheard=False) for _ in range(12)]
    assert 240 <= waits[0] <= 264
    assert waits[:6] == sorted(set(waits[:6]))
    assert sum(waits[:4]) >= 3600, "five failures in an hour are what authorities bear"
    assert 6 * 3600 <= waits[-1] <= 6.6 * 3600
    assert Tries().failed(0.0, unheard=True) < 17
    assert Tries().failed(0.0, unheard=False, at_least=9999) >= 9999


@pytest.mark.parametrize(
    "document",
    [
        *(None, [], "x", {}, {"not_before": "x", "heard": 1, "unheard": 0, "kind": ""}),
        {"not_before": float("inf"), "heard": 10**9, "unheard": 0, "kind": "http-01"},
        {"not_before": float("nan"), "heard": -1, "unheard": -1, "kind": 1},
    ],
)
def test_what_is_kept_may_be_damaged(document: Any) -> None:
    tries = Tries.read(document)
    assert tries.next_at(1e9) == 0.0
    assert tries.failed(1e9, unheard=False) <= 6.6 * 3600


def test_keys_are_in_no_representation(
    config: Config, authority: AcmeAuthority, folder: AcmeFolder
) -> None:
    held(folder, authority, days=1)
    renewal = AcmeRenewal(config, lambda _: True)
    renewal.run()
    assert "PRIVATE" not in repr((folder.issued(NAME), renewal._names))
