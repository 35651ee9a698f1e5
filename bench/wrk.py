"""Runs wrk and reads what it prints.

wrk corrects its percentiles for coordinated omission: a latency beyond twice the mean
adds the samples that its connection missed meanwhile. With pipelining it mistakes the
time of a batch for that of a request there, and the percentiles mean nothing; they may
also come out as zero, which `parse` reads as none.
"""

from __future__ import annotations

import re
import shutil
import subprocess

from bench.load import LoadError, LoadResult

UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0}
SOCKET_ERRORS = ("connect", "read", "write", "timeout")

SUMMARY = re.compile(r"(\d+) requests in ([\d.]+)(us|ms|s|m|h), ")
RATE = re.compile(r"^Requests/sec:\s+([\d.]+)", re.MULTILINE)
PERCENTILE = re.compile(r"^\s+(50|75|90|99)%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)
NON_2XX = re.compile(r"Non-2xx or 3xx responses: (\d+)")
SOCKETS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")


def parse(output: str) -> LoadResult:
    """Reads the report of `wrk --latency`; raises LoadError where it is none."""
    summary = SUMMARY.search(output)
    rate = RATE.search(output)
    percentiles = {
        int(share): float(value) * UNITS_MS[unit]
        for share, value, unit in PERCENTILE.findall(output)
    }
    if summary is None or rate is None or not {50, 99} <= percentiles.keys():
        raise LoadError(f"not a wrk report: {output.strip()[-300:]!r}")
    non_2xx = NON_2XX.search(output)
    sockets = SOCKETS.search(output)
    counts = sockets.groups() if sockets else ("0",) * len(SOCKET_ERRORS)
    return LoadResult(
        requests=int(summary[1]),
        requests_per_second=float(rate[1]),
        p50_ms=percentiles[50] or None,
        p99_ms=percentiles[99] or None,
        non_2xx=int(non_2xx[1]) if non_2xx else 0,
        socket_errors={kind: int(count) for kind, count in zip(SOCKET_ERRORS, counts, strict=True)},
    )


def run(url: str, *, connections: int, seconds: float, options: list[str]) -> LoadResult:
    """One wrk thread, which is enough for two cores; wrk takes whole seconds only."""
    whole = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{whole}s", "--timeout", "5s"]
    try:
        done = subprocess.run(
            [*command, "--latency", *options, url],
            capture_output=True,
            text=True,
            timeout=whole + 30,
            check=True,
        )
    except FileNotFoundError:
        raise LoadError("wrk is not installed: python -m bench setup") from None
    except subprocess.SubprocessError as error:
        raise LoadError(f"wrk failed: {error}") from error
    return parse(done.stdout)


def version() -> str:
    """wrk's own first line; it exits with 1 after `--version`."""
    if shutil.which("wrk") is None:
        return "not installed"
    done = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    words = (done.stdout or done.stderr).split()
    return words[1] if len(words) > 1 else "unknown"
