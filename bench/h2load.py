"""Runs h2load, which speaks HTTP/2 and, where it is built with that, HTTP/3, and reads what it
prints: no percentiles are in it."""

from __future__ import annotations

import re
import shutil
import subprocess

from bench.load import LoadError, LoadResult
from bench.paths import H2LOAD

SUMMARY = re.compile(r"^finished in [\d.]+\w+, ([\d.]+) req/s", re.MULTILINE)
REQUESTS = re.compile(
    r"^requests: \d+ total, \d+ started, (\d+) done, \d+ succeeded, \d+ failed, "
    r"(\d+) errored, (\d+) timeout",
    re.MULTILINE,
)
STATUSES = re.compile(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", re.MULTILINE)
PROTOCOL = re.compile(r"^Application protocol: (\S+)", re.MULTILINE)


def parse(output: str, protocol: str = "h2") -> LoadResult:
    """Reads h2load's report; raises LoadError where it is none, or not about this protocol."""
    summary = SUMMARY.search(output)
    requests = REQUESTS.search(output)
    statuses = STATUSES.search(output)
    if summary is None or requests is None or statuses is None:
        raise LoadError(f"not a report of h2load: {output.strip()[-300:]!r}")
    spoken = PROTOCOL.search(output)
    if spoken is None or not spoken[1].startswith(protocol):
        raise LoadError(f"it does not speak {protocol}, but {spoken[1] if spoken else 'nothing'}")
    done, errored, timeout = (int(count) for count in requests.groups())
    _ok, *others = (int(count) for count in statuses.groups())
    return LoadResult(
        requests=done,
        requests_per_second=float(summary[1]),
        p50_ms=None,
        p99_ms=None,
        non_2xx=sum(others),
        socket_errors={"errored": errored, "timeout": timeout},
    )


def run(
    url: str, *, connections: int, seconds: float, options: list[str], protocol: str = "h2"
) -> LoadResult:
    """One thread of h2load, for so long."""
    whole = max(1, round(seconds))
    command = [H2LOAD, "-t1", f"-c{connections}", f"-D{whole}", *options, url]
    if protocol == "h3":
        command.insert(1, "--alpn-list=h3")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=whole + 30, check=True
        )
    except FileNotFoundError:
        raise LoadError("h2load is not installed: python -m bench setup") from None
    except subprocess.SubprocessError as error:
        raise LoadError(f"h2load failed: {error}") from error
    return parse(done.stdout, protocol)


def version() -> str:
    if shutil.which(H2LOAD) is None:
        return "not installed"
    done = subprocess.run([H2LOAD, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip().removeprefix("h2load nghttp2/") or "unknown"
