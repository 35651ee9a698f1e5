"""Runs steady_load.py, here or on a machine of a test's network."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.certificates import authority, authority_file
from harness.process import ServerProcess
from harness.waiting import eventually
from notes import Notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

NAME = "example.org"
"""By which the clients know the proxy."""


def certificate_of_the_name(chain: Path, key: Path | None = None) -> None:
    """Writes what deploy/'s configurations name; without a key's file both are in one."""
    made = authority().issue_cert(NAME)
    if key is None:
        chain.write_bytes(made.private_key_and_cert_chain_pem.bytes())
        return
    chain.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    key.write_bytes(made.private_key_pem.bytes())


@contextmanager
def steady_load(
    where: tuple[str, int], hosts: Iterable[str], inside: Sequence[str] = ()
) -> Iterator[Notes]:
    """Until the block's end, from when each of these hosts has answered.

    Then everybody has got the answer that he waited for. inside: what runs a command elsewhere.
    """
    with tempfile.NamedTemporaryFile(prefix="prowingen-load-") as file:
        program = [sys.executable, str(Path(__file__).with_name("steady_load.py"))]
        arguments = [where[0], str(where[1]), NAME, authority_file(), file.name]
        client = ServerProcess([*inside, *program, *arguments], dict(os.environ))
        notes = Notes(file)
        try:
            client.wait_for_line("asking")
            assert eventually(lambda: all(map(notes.answered_by, hosts))), client.log
            yield notes
            client.signal(signal.SIGTERM)
            assert client.wait(40) == 0, client.log
        finally:
            client.end()
            notes.finish()
