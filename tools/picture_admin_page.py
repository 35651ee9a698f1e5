"""Takes docs/admin-page.png: the administrators' page of a real server that is under a mixed load.

    python tools/picture_admin_page.py docs/admin-page.png --scheme dark --seconds 120

A server is started with the application below, whose requests are quick, slow, waiting and failing;
clients ask it for as long as the page has something to show of, and the page is photographed at two
pixels for each of its own. The picture gets a palette, which makes it a fifth of the size.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import random
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from playwright.sync_api import Page

HERE = Path(__file__).resolve().parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"width": 1600, "height": 1340}
MOST_BYTES = 300_000
CLIENTS = 10

# What is asked for, how often, and for how many seconds the application is then busy or waits.
MIX = (
    ("/products?page=2", 60, 0.002),
    ("/cart", 25, 0.008),
    ("/search?q=lamp", 20, 0.04),
    ("/orders/4711", 12, 0.12),
    ("/favicon.ico", 6, 0.0),
    ("/checkout", 4, 0.45),
    ("/broken", 1, 0.02),
    ("/reports/yearly", 1, 2.5),
)
STATUSES = {"/favicon.ico": "404 Not Found", "/broken": "500 Internal Server Error"}
WORK = {target.partition("?")[0]: seconds for target, _, seconds in MIX}


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """The server's application."""
    path = environ["PATH_INFO"]
    seconds = WORK.get(path, 0.0) * random.lognormvariate(0, 0.6)
    until = time.thread_time() + min(seconds, 0.01) / 2
    while time.thread_time() < until:
        pass
    time.sleep(seconds)
    start_response(STATUSES.get(path, "200 OK"), [("Content-Type", "text/plain")])
    return [b"x" * random.randrange(200, 8000)]


@contextmanager
def running() -> Iterator[tuple[str, str]]:
    """A server, and where it and its administrators' address are: host and port."""
    where = ["--chdir", str(HERE), "--bind", "127.0.0.1:0", "--admin-bind", "127.0.0.1:0"]
    limits = ["--workers", "2", "--threads", "6", "--request-timeout", "6"]
    command = [sys.executable, "-m", "prowingen_wsgi", "picture_admin_page:app", *where, *limits]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    lines: list[str] = []
    try:
        for line in server.stderr:
            lines.append(line)
            text = "".join(lines)
            address = re.search(r"listening on http://(\S+)", text)
            admin = re.search(r"administrators on http://(\S+)", text)
            if address and admin and text.count(" is ready") == 2:
                # It goes on telling, and is not to wait for who reads.
                threading.Thread(target=server.stderr.read, daemon=True).start()
                yield address[1], admin[1]
                break
        else:
            sys.exit(f"picture_admin_page: the server has not started:\n{''.join(lines)}")
    finally:
        server.terminate()
        server.wait()


@contextmanager
def load(address: str) -> Iterator[None]:
    """Clients that ask on and on, each on a connection of its own."""
    over = threading.Event()
    clients = [threading.Thread(target=ask, args=(address, over)) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in clients:
            each.join()


def ask(address: str, over: threading.Event) -> None:
    targets, weights, _ = zip(*MIX, strict=True)
    connection = http.client.HTTPConnection(address, timeout=30)
    while not over.wait(random.expovariate(25)):
        with suppress(OSError, http.client.HTTPException):  # the next one is connected anew
            connection.request("GET", random.choices(targets, weights)[0])
            connection.getresponse().read()
    connection.close()


# Red, green and blue are 5 bits each; the 256 of them that most pixels have are the palette, and
# any other is the nearest of these.
PALETTE = """async (picture) => {
  const image = await createImageBitmap(await (await fetch(picture)).blob());
  const { width, height } = image;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const counts = new Map();
  const keyAt = (i) => (data[i] >> 3 << 10) | (data[i + 1] >> 3 << 5) | (data[i + 2] >> 3);
  for (let i = 0; i < data.length; i += 4) {
    const found = counts.get(keyAt(i)) ?? [0, data[i], data[i + 1], data[i + 2]];
    found[0]++;
    counts.set(keyAt(i), found);
  }
  const all = [...counts].sort((one, other) => other[1][0] - one[1][0]);
  const palette = all.slice(0, 256).map(([, colour]) => colour.slice(1));
  const distance = (one, other) => one.reduce((sum, c, i) => sum + (c - other[i]) ** 2, 0);
  const places = new Map(all.map(([key, [, ...colour]], rank) => {
    if (rank < 256) return [key, rank];
    const far = palette.map((each) => distance(each, colour));
    return [key, far.indexOf(Math.min(...far))];
  }));
  const pixels = new Uint8Array(width * height).map((_, i) => places.get(keyAt(4 * i)));
  const bytes = new FileReader();
  const read = new Promise((resolve) => { bytes.onload = resolve; });
  bytes.readAsDataURL(new Blob([pixels]));
  await read;
  return { width, height, palette: palette.flat(), pixels: bytes.result.split(",")[1] };
}"""


def with_palette(page: Page, picture: bytes) -> bytes:
    """The same picture with 256 colours (PNG, section 11.2)."""
    page.goto("about:blank")
    url = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    found = page.evaluate(PALETTE, url)
    width, height = found["width"], found["height"]
    pixels = base64.b64decode(found["pixels"])
    rows = b"".join(b"\0" + pixels[i : i + width] for i in range(0, len(pixels), width))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(found["palette"])),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in chunks)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def photograph(program: str, scheme: str, seconds: float) -> bytes:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, running() as (address, admin), load(address):
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page: Page = browser.new_page(
            viewport=SIZE,  # type: ignore[arg-type]
            device_scale_factor=2,
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        page.goto(f"http://{admin}/-/")
        page.locator("#state[data-is=ready]").wait_for()
        page.wait_for_timeout(1000 * seconds)
        picture = with_palette(page, page.screenshot())
        browser.close()
    return picture


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    parser.add_argument("--seconds", type=float, default=125, help="for which it is under load")
    arguments = parser.parse_args()
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        parser.error("no Chromium is installed (cmake/system-packages.txt)")
    picture = photograph(program, arguments.scheme, arguments.seconds)
    if len(picture) > MOST_BYTES:
        parser.error(f"the picture has {len(picture)} bytes, and may have {MOST_BYTES}")
    arguments.picture.write_bytes(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
