"""Has certificates issued before they are needed: by one thread of one process of a server.

    look at each name --due--> ask the authority --> a file that whoever serves reads anew
         ^     ^                     |
         |     +---- failed: later --+
         +---- in an hour at most

Whoever else is about to do so with the same folder, such as the process of another server, waits:
there is a lock, under which one looks once more. Nothing that goes wrong ends this, or touches what
is served: a certificate is used to its end, and its expiry is warned of as any other's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .acme_certificates import acme_folder, acme_names
from .acme_client import AcmeError, Authority, ChallengeError, EndedError
from .acme_times import Retry, Validity, date, duration
from .logs import error_log
from .originals import time
from .threads import Latch, Thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from .configuration.config import Config

# In seconds. A clock that is set, or a machine that slept, is noticed after the first.
_LONGEST_WAIT = 3600.0
_SHORTEST_WAIT = 0.05
_WHILE_LOCKED = 60.0
# A challenge that the other kind follows is none of a row.
BETWEEN_KINDS = 10.0
_AFTER_ACCIDENT = 3600.0


@dataclass
class _Name:
    """What is known of one name; times are seconds since 1970.

    seen: the certificate that the two times are of.
    renewed_at: when it is due.
    asked_at: when the authority is asked for its own suggestion, next.
    not_before: until then nothing is tried, since it failed.
    kind: which of the challenges is used.
    """

    name: str
    seen: bytes = b""
    renewed_at: float = 0.0
    asked_at: float = 0.0
    not_before: float = 0.0
    kind: int = 0
    retry: Retry = field(default_factory=Retry)

    @property
    def due(self) -> float:
        return max(self.renewed_at, self.not_before)


class AcmeRenewal:
    """config: one whose certificates `with_acme_certificates` has named.
    pause: waits for so many seconds; True: it is to end.
    """

    def __init__(self, config: Config, pause: Callable[[float], bool]) -> None:
        self._config = config
        self._pause = pause
        self._folder = acme_folder(config)
        self._names = [_Name(name) for name in acme_names(config)]
        self._kinds = [config.acme_challenge]
        if config.acme_challenge == "auto":
            self._kinds = ["tls-alpn-01", *(["http-01"] if config.redirect_http else [])]

    def run(self) -> None:
        """Until `pause` says that it is to end."""
        try:
            while not self._pause(self._wait()):
                for name in self._names:
                    self._see_to(name)
        except EndedError:
            pass

    def _wait(self) -> float:
        """Until the next one is due; looks at them all."""
        for name in self._names:
            self._look(name)
        next_due = min(min(name.due, self._asked_at(name)) for name in self._names)
        return min(max(next_due - time.time(), _SHORTEST_WAIT), _LONGEST_WAIT)

    @staticmethod
    def _asked_at(name: _Name) -> float:
        return max(name.asked_at, name.not_before) if name.seen else float("inf")

    def _look(self, name: _Name) -> None:
        """At what there is of it now: another process may have renewed it."""
        try:
            issued = self._folder.issued(name.name)
            pem = b"" if issued is None or issued.directory != self._url else issued.pem
            if pem and pem == name.seen:
                return
            name.renewed_at = Validity.of(pem).renewed_at() if pem else 0.0
        except (OSError, ValueError):  # which is another one's to complain of: whoever serves it
            pem, name.renewed_at = b"", 0.0
        name.seen = pem
        name.asked_at = 0.0

    @property
    def _url(self) -> str:
        return self._config.acme_directory

    # ---- one name

    def _see_to(self, name: _Name) -> None:
        now = time.time()
        if name.due > now and self._asked_at(name) > now:
            return
        try:
            with self._folder.lock() as mine:
                if not mine:
                    name.not_before = now + _WHILE_LOCKED
                    return
                self._look(name)
                self._ask(name)
        except AcmeError as error:
            self._failed(name, error)
        except OSError as error:
            self._failed(name, AcmeError(f'acme_folder: "{error.filename}": {error.strerror}'))
        except EndedError:
            raise
        except Exception:  # noqa: BLE001  # what a library has not foreseen costs a try, and not the thread
            name.not_before = time.time() + _AFTER_ACCIDENT
            error_log.exception("acme: %s: next try in %s", name.name, duration(_AFTER_ACCIDENT))

    def _ask(self, name: _Name) -> None:
        authority = Authority(self._url, self._config.acme_email, self._folder, self._pause)
        try:
            if name.due > time.time():
                self._ask_when(name, authority)
                return
            kind = self._kinds[name.kind % len(self._kinds)]
            error_log.info(
                "acme: %s: asking %s for a certificate, by %s", name.name, self._url, kind
            )
            chain, key = authority.issue(name.name, kind)
            self._folder.keep_issued(name.name, self._url, chain, key)
        finally:
            authority.close()
        name.retry = Retry()
        name.not_before = 0.0
        self._look(name)
        error_log.info(
            "acme: %s: a certificate was issued, %s; it is renewed about %s",
            name.name,
            Validity.of(name.seen),
            date(name.renewed_at),
        )

    @staticmethod
    def _ask_when(name: _Name, authority: Authority) -> None:
        at, name.asked_at = authority.suggested_renewal(name.seen)
        if at is not None and at < name.renewed_at:
            name.renewed_at = at

    def _failed(self, name: _Name, error: AcmeError) -> None:
        now = time.time()
        if name.due > now:  # it was asked for its suggestion only
            name.asked_at = now + name.retry.failed(unheard=True)
            error_log.debug("acme: %s: %s", name.name, str(error))
            return
        last_kind = name.kind % len(self._kinds) == len(self._kinds) - 1
        if isinstance(error, ChallengeError):
            name.kind += 1
        if isinstance(error, ChallengeError) and not last_kind:
            wait = BETWEEN_KINDS
        else:
            wait = name.retry.failed(unheard=error.unheard, at_least=error.at_least)
        name.not_before = now + wait
        error_log.error(
            "acme: %s: %s; next try in %s; %s",
            name.name,
            str(error),  # and not itself, with which a handler might keep a connection
            duration(wait),
            self._served_meanwhile(name),
        )

    def _served_meanwhile(self, name: _Name) -> str:
        try:
            issued = self._folder.issued(name.name)
            if issued is not None:
                return f"the certificate of before stays in use, {Validity.of(issued.pem)}"
        except (OSError, ValueError):
            pass
        return "until then browsers warn of the certificate"


class AcmeThread:
    """The renewal of a server of one process."""

    def __init__(self, config: Config) -> None:
        self._ended = Latch()
        renewal = AcmeRenewal(config, self._ended.wait)
        self._thread = Thread("prowingen-acme", renewal.run)

    def start(self) -> None:
        """Raises RuntimeError if there can be no thread."""
        self._thread.start()

    def end(self) -> None:
        """Returns at once: it may wait for the network yet, and changes nothing any more."""
        self._ended.open()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)
