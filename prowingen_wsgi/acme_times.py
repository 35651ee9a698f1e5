"""When a certificate is renewed, and when what failed is tried again.

    issued ------------------------ two thirds of its life --a little by chance--> renewed
    failed --4 min--> failed --8 min--> failed -- ... --6 h--> failed ...
    not heard --15 s--> not heard --30 s--> ... --1 h--> ...

The waits after a failed challenge are those that Let's Encrypt's limit of five in an hour leaves
room for. Times are seconds since 1970.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timezone

from cryptography import x509

# Of a certificate's life.
_LEFT = 1 / 3
_BY_CHANCE = 1 / 60

# In seconds: the first wait, and the longest.
AFTER_FAILURE = (240.0, 6 * 3600.0)
WHILE_UNHEARD = (15.0, 3600.0)
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


class Retry:
    """Doubles the wait with each failure in a row."""

    def __init__(self) -> None:
        self._failures = {False: 0, True: 0}

    def failed(self, *, unheard: bool, at_least: float = 0.0) -> float:
        """How long to wait now.

        unheard: the authority has not looked at it, so that no limit of its has been used up.
        """
        first, longest = WHILE_UNHEARD if unheard else AFTER_FAILURE
        wait = max(min(first * 2.0 ** min(self._failures[unheard], 20), longest), at_least)
        self._failures[unheard] += 1
        return wait * _chance.uniform(1.0, 1 + _SPREAD)


def date(when: float) -> str:
    return f"{datetime.fromtimestamp(when, timezone.utc):%Y-%m-%d}"


def duration(seconds: float) -> str:
    """For people: "45 s", "4 min", "6 h"."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
