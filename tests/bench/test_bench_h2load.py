from __future__ import annotations

import pytest

from bench.h2load import parse
from bench.load import LoadError

REPORT = """\
Application protocol: h2
Main benchmark duration is over for thread #0. Stopping all clients.

finished in 1.01s, 116297.00 req/s, 4.45MB/s
requests: 116310 total, 117297 started, 116307 done, 116300 succeeded, 7 failed, \
3 errored, 2 timeout
status codes: 116290 2xx, 1 3xx, 0 4xx, 9 5xx
traffic: 4.45MB (4663580) total, 1.00MB (1052873) headers (space savings 90.57%)
time for request:      908us     44.73ms      7.10ms      3.17ms    75.44%
"""


def test_a_report_gives_what_it_has() -> None:
    result = parse(REPORT)
    assert (result.requests, result.requests_per_second) == (116307, 116297.0)
    assert (result.p50_ms, result.p99_ms) == (None, None)
    assert result.non_2xx == 10
    assert result.socket_errors == {"errored": 3, "timeout": 2}


@pytest.mark.parametrize("missing", ["finished in", "requests:", "status codes"])
def test_a_report_without_a_figure_is_an_error(missing: str) -> None:
    kept = "\n".join(line for line in REPORT.splitlines() if not line.startswith(missing))
    with pytest.raises(LoadError, match="not a report of h2load"):
        parse(kept)


def test_what_was_not_spoken_is_not_measured() -> None:
    with pytest.raises(LoadError, match=r"does not speak h2, but http/1\.1"):
        parse(REPORT.replace("protocol: h2", "protocol: http/1.1"))
    with pytest.raises(LoadError, match="does not speak h3, but h2"):
        parse(REPORT, "h3")
    assert parse(REPORT.replace("protocol: h2", "protocol: h3"), "h3").requests == 116307
