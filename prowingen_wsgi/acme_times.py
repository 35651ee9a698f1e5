"""When a certificate is renewed, and when what failed is tried again.

    issued ------------------------ two thirds of its life --a little by chance--> renewed
    failed --4 min--> failed --8 min--> failed -- ... --6 h--> failed ...
    not heard --15 s--> not heard --30 s--> ... --1 h--> ...
    issued --1 h at least--> issued, whatever a clock or an authority says

The waits after a failed challenge are those that Let's Encrypt's limit of five in an hour leaves
room for. Times are seconds since 1970. A clock may be set: what is further off than it can have
been meant is not waited for.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from cryptography import x509

# Of a certificate's life.
_LEFT = 1 / 3
_BY_CHANCE = 1 / 60

# In seconds: the first wait, and the longest.
AFTER_FAILURE = (240.0, 6 * 3600.0)
WHILE_UNHEARD = (15.0, 3600.0)
AFTER_SUCCESS = 3600.0  # or a tenth of its life
RATE_LIMITED = 3600.0  # at least: authorities' limits are of hours and weeks
AFTER_ACCIDENT = 3600.0
# Between questions when an authority suggests to renew: least, and most.
SUGGESTIONS = (3600.0, 86400.0)
# Of a wait, so that servers that failed together do not all come back at once.
_SPREAD = 0.1

_chance = random.SystemRandom()


@dataclass(frozen=True)
class Validity:
    begins: float
    ends: float

    @classmethod
    def of(cls, pem: bytes) -> Validity:
        """Of the first certificate. Raises ValueError if there is none."""
        first = x509.load_pem_x509_certificates(pem)[0]
        return cls(first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp())

    def renewed_at(self) -> float:
        """By chance a little earlier than others of the same age."""
        life = self.ends - self.begins
        return self.ends - life * (_LEFT + _chance.uniform(0, _BY_CHANCE))

    def __str__(self) -> str:
        return f"valid until {date(self.ends)}"


@dataclass
class Tries:
    """What is kept of the tries to have one name's certificate issued.

    not_before: until then there is none.
    heard, unheard: failures in a row; of the latter the authority has looked at nothing, so that no
        limit of its has been used up.
    kind: the challenge that the next one is by; empty: the first there is.
    """

    not_before: float = 0.0
    heard: int = 0
    unheard: int = 0
    kind: str = ""

    @classmethod
    def read(cls, document: object) -> Tries:
        """What `written` gave; new ones for anything else."""
        try:
            kept: Any = document
            tries = cls(
                float(kept["not_before"]),
                max(0, int(kept["heard"])),
                max(0, int(kept["unheard"])),
                str(kept["kind"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            return cls()
        return tries

    def written(self) -> dict[str, object]:
        return asdict(self)

    def next_at(self, now: float) -> float:
        return not_beyond(self.not_before, now, _longest())

    def failed(self, now: float, *, unheard: bool, at_least: float = 0.0) -> float:
        """How long to wait: twice as long with each failure."""
        first, longest = WHILE_UNHEARD if unheard else AFTER_FAILURE
        failures = self.unheard if unheard else self.heard
        wait = max(min(first * 2.0 ** min(failures, 20), longest), at_least)
        wait *= _chance.uniform(1.0, 1 + _SPREAD)
        if unheard:
            self.unheard += 1
        else:
            self.heard += 1
        self.not_before = now + wait
        return wait

    def succeeded(self, now: float, issued: Validity) -> None:
        self.heard = self.unheard = 0
        self.not_before = now + min(AFTER_SUCCESS, (issued.ends - issued.begins) / 10)


def _longest() -> float:
    waits = (AFTER_FAILURE[1], WHILE_UNHEARD[1], RATE_LIMITED, AFTER_ACCIDENT)
    return max(AFTER_SUCCESS, *(wait * (1 + _SPREAD) for wait in waits))


def not_beyond(when: float, now: float, longest: float) -> float:
    """That time; 0 if it is further off than that, as after a clock has been set back."""
    return when if when - now <= longest else 0.0


def asked_again(now: float, suggested: float) -> float:
    """When an authority is asked for its suggestion again, which suggests that too."""
    least, most = SUGGESTIONS
    return min(max(suggested, now + least), now + most)


def date(when: float) -> str:
    return f"{datetime.fromtimestamp(when, timezone.utc):%Y-%m-%d}"


def duration(seconds: float) -> str:
    """For people: "45 s", "4 min", "6 h"."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
