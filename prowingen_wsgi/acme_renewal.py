"""Has certificates issued before they are needed: by one thread of one process of a server.

    look at each name --due--> ask the authority --> a file that whoever serves reads anew
         ^     ^                     |
         |     +---- failed: later --+
         +---- in an hour at most

Whoever else is about to do so with the same folder, such as the process of another server, waits:
there is a lock, under which one looks once more. Nothing that goes wrong ends this, or touches what
is served: a certificate is used to its end, and its expiry is warned of as any other's. What has
been tried is kept in the folder, and so a new start, a reload or a crash begins no further row.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .acme_certificates import acme_folder, acme_names
from .acme_client import AcmeError, Authority, ChallengeError, EndedError
from .acme_times import (
    AFTER_ACCIDENT,
    SUGGESTIONS,
    Tries,
    Validity,
    asked_again,
    date,
    duration,
    not_beyond,
)
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


@dataclass
class _Name:
    """What is known of one name; times are seconds since 1970.

    seen: the certificate that the two times are of.
    renewed_at: when it is due.
    asked_at: when the authority is asked for its own suggestion, next.
    locked_until: somebody else is about to ask for it.
    """

    name: str
    seen: bytes = field(default=b"", repr=False)  # with its key
    renewed_at: float = 0.0
    asked_at: float = 0.0
    locked_until: float = 0.0
    tries: Tries = field(default_factory=Tries)

    def due(self, now: float) -> float:
        """When a certificate is asked for."""
        return max(self.renewed_at, self.tries.next_at(now), self._locked_until(now))

    def asked(self, now: float) -> float:
        """When the authority is asked for its suggestion."""
        if not self.seen:
            return float("inf")
        at = not_beyond(self.asked_at, now, SUGGESTIONS[1])
        return max(at, self.tries.next_at(now), self._locked_until(now))

    def _locked_until(self, now: float) -> float:
        return not_beyond(self.locked_until, now, _WHILE_LOCKED)


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
            self._begin()
            while not self._pause(self._wait()):
                for name in self._names:
                    self._see_to(name)
        except EndedError:
            pass

    def withdraw(self) -> None:
        """From another thread: nothing is shown any more, whatever this waits for."""
        with suppress(OSError):
            self._folder.withdraw()

    def _begin(self) -> None:
        """With what there is from an earlier life."""
        with suppress(OSError), self._folder.lock():  # which does away with what is no more of use
            pass
        now = time.time()
        for name in self._names:
            self._recall(name)
            self._look(name)
            wait = name.tries.next_at(now) - now
            if wait > 0 and name.renewed_at <= now:
                error_log.info(
                    "acme: %s: next try in %s, after what was tried before",
                    name.name,
                    duration(wait),
                )

    def _recall(self, name: _Name) -> None:
        """What has been tried, by one before this or beside it."""
        with suppress(OSError):
            kept = Tries.read(self._folder.tries(self._url, name.name))
            if kept.next_at(time.time()) > name.tries.next_at(time.time()):
                name.tries = kept

    def _keep(self, name: _Name) -> None:
        try:
            self._folder.keep_tries(self._url, name.name, name.tries.written())
        except OSError as error:
            error_log.error('acme_folder: "%s": %s', error.filename, error.strerror)

    def _wait(self) -> float:
        """Until the next one is due; looks at them all."""
        for name in self._names:
            self._look(name)
        now = time.time()
        next_due = min(min(name.due(now), name.asked(now)) for name in self._names)
        return min(max(next_due - now, _SHORTEST_WAIT), _LONGEST_WAIT)

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
        if name.due(now) > now and name.asked(now) > now:
            return
        try:
            with self._folder.lock() as mine:
                if not mine:
                    name.locked_until = now + _WHILE_LOCKED
                    return
                self._recall(name)
                self._look(name)
                if name.due(now) <= now:
                    self._issue(name)
                elif name.asked(now) <= now:
                    self._ask_when(name)
        except OSError as error:  # there is no lock
            self._failed(name, self._fault_of_folder(error))

    def _issue(self, name: _Name) -> None:
        """A try, which is kept as one that has failed, should this process end in it."""
        before = replace(name.tries)
        name.tries.failed(time.time(), unheard=False)
        self._keep(name)
        name.tries = before
        kind = before.kind if before.kind in self._kinds else self._kinds[0]
        try:
            self._ask(name, kind)
        except AcmeError as error:
            if isinstance(error, ChallengeError):
                name.tries.kind = self._kinds[(self._kinds.index(kind) + 1) % len(self._kinds)]
            self._failed(name, error)
        except OSError as error:
            self._failed(name, self._fault_of_folder(error))
        except EndedError:
            name.tries.failed(time.time(), unheard=True)
            raise
        except Exception:  # noqa: BLE001  # what a library has not foreseen costs a try, and not the thread
            name.tries.failed(time.time(), unheard=False, at_least=AFTER_ACCIDENT)
            error_log.exception("acme: %s: next try in %s", name.name, duration(AFTER_ACCIDENT))
        finally:
            self._keep(name)

    def _ask(self, name: _Name, kind: str) -> None:
        authority = Authority(self._url, self._config.acme_email, self._folder, self._pause)
        try:
            error_log.info(
                "acme: %s: asking %s for a certificate, by %s", name.name, self._url, kind
            )
            chain, key = authority.issue(name.name, kind)
            self._folder.keep_issued(name.name, self._url, chain, key)
        finally:
            authority.close()
        now = time.time()
        issued = Validity.of(chain.encode())
        self._look(name)
        name.tries.kind = kind
        name.tries.succeeded(now, issued)
        name.asked_at = asked_again(now, now)
        error_log.info(
            "acme: %s: a certificate was issued, %s; it is renewed about %s",
            name.name,
            issued,
            date(max(name.renewed_at, name.tries.not_before)),
        )

    def _ask_when(self, name: _Name) -> None:
        """The authority's suggestion, without which one's own does."""
        at, again = None, 0.0
        try:
            authority = Authority(self._url, self._config.acme_email, self._folder, self._pause)
            try:
                at, again = authority.suggested_renewal(name.seen)
            finally:
                authority.close()
        except (AcmeError, OSError) as error:
            error_log.debug("acme: %s: %s", name.name, str(error))
        except Exception:  # noqa: BLE001  # as above
            error_log.exception("acme: %s: no suggestion when to renew it", name.name)
        name.asked_at = asked_again(time.time(), again)
        if at is not None and at < name.renewed_at:
            name.renewed_at = at

    def _fault_of_folder(self, error: OSError) -> AcmeError:
        where = error.filename or self._folder.path
        return AcmeError(f'acme_folder: "{where}": {error.strerror or error}')

    def _failed(self, name: _Name, error: AcmeError) -> None:
        wait = name.tries.failed(time.time(), unheard=error.unheard, at_least=error.at_least)
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
    """The renewal of a server of one process, or of the process that does nothing else."""

    def __init__(self, config: Config) -> None:
        self._ended = Latch()
        self._renewal = AcmeRenewal(config, self._ended.wait)
        self._thread = Thread("prowingen-acme", self._renewal.run)

    def start(self) -> None:
        """Raises RuntimeError if there can be no thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        """Returns at once: it may wait for the network yet, and shows nothing any more."""
        self._ended.open()

    def join(self, seconds: float) -> None:
        """What an authority may be looking at is gone after that, in any case."""
        self._thread.join(seconds)
        self._renewal.withdraw()
