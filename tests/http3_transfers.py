"""Moves much over HTTP/3: 100 MiB up, down and both ways at once, without loss and with a relay
that loses 2 % of the datagrams. What arrives is compared.

    python tests/http3_transfers.py [--mib 100] [--only lossless]

The short form of this is in test_http3.py. The client is Python's: what is said of its speed is
said of the client.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "engines"))

from harness.apps import PLAIN
from harness.certificates import server_files
from harness.h3client import h3_client, relay
from harness.site import start_site

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import Environ, StartResponse
    from harness.h3client import Answer, Served

LOSSES = {"lossless": 0.0, "lossy": 0.02}
MIB = 1 << 20
PIECE = random.Random(3).randbytes(MIB)


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """A GET is answered with so many MiB; of another request's body the hash is."""
    if environ["REQUEST_METHOD"] == "GET":
        start_response("200 OK", PLAIN)
        return (PIECE for _ in range(int(environ["QUERY_STRING"])))
    seen = hashlib.sha256()
    while piece := environ["wsgi.input"].read(1 << 16):
        seen.update(piece)
    start_response("200 OK", PLAIN)
    return [seen.hexdigest().encode()]


def expected(mib: int) -> str:
    whole = hashlib.sha256()
    for _ in range(mib):
        whole.update(PIECE)
    return whole.hexdigest()


async def move(site: Served, port: int, mib: int, ways: tuple[str, ...]) -> float:
    """Seconds that it took. Raises ValueError if something else arrived."""
    async with h3_client(site, port=port, window=1 << 20) as client:
        client.patience = 600

        async def down() -> str:
            return hashlib.sha256((await client.ask(f"/?{mib}")).body).hexdigest()

        async def up() -> str:
            answer: Answer = await client.ask(method="PUT", body=PIECE * mib)
            return answer.body.decode()

        began = time.monotonic()
        arrived = await asyncio.gather(*({"up": up, "down": down}[way]() for way in ways))
        took = time.monotonic() - began
    if set(arrived) != {expected(mib)}:
        raise ValueError(f"{' and '.join(ways)}: it is not what was sent")
    return took


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mib", type=int, default=100)
    options.add_argument("--only", nargs="+", choices=LOSSES, default=list(LOSSES))
    chosen = options.parse_args()
    settings: dict[str, Any] = {"http3": True, "max_body": 0, **vars(server_files())}
    for name in chosen.only:
        for ways in (("up",), ("down",), ("up", "down")):
            with ExitStack() as stack:
                site = stack.enter_context(start_site(app, "proxygen", **settings))
                lost = None
                port = site.port
                if LOSSES[name]:
                    lost = stack.enter_context(relay(site, loss=LOSSES[name]))
                    port = lost.port
                seconds = asyncio.run(move(site, port, chosen.mib, ways))
                losses = f", {lost.lost} datagrams lost" if lost else ""
                words = f"{name:9} {' and '.join(ways):12} {chosen.mib} MiB in {seconds:6.1f} s"
                print(words + losses, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
