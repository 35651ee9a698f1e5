from __future__ import annotations

import pytest

from bench.load import LoadError
from bench.wrk import parse

CLEAN = """\
Running 4s test @ http://127.0.0.1:20000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.33ms    2.75ms  34.46ms   94.02%
    Req/Sec    78.38k    11.29k   93.26k    77.50%
  Latency Distribution
     50%  662.00us
     75%    1.03ms
     90%    2.41ms
     99%   14.78ms
  311916 requests in 4.00s, 42.24MB read
Requests/sec:  77930.99
Transfer/sec:     10.55MB
"""

ERRORS = """\
  Latency Distribution
     50%    1.02s
     75%    1.20s
     90%    1.50s
     99%    0.00us
  100 requests in 1.10m, 42.24KB read
  Socket errors: connect 1, read 22, write 3, timeout 4
  Non-2xx or 3xx responses: 55
Requests/sec:      1.51
Transfer/sec:      0.55KB
"""


def test_a_clean_report_gives_every_figure_in_milliseconds() -> None:
    result = parse(CLEAN)
    assert result.requests == 311916
    assert result.requests_per_second == 77930.99
    assert result.p50_ms == pytest.approx(0.662)
    assert result.p99_ms == pytest.approx(14.78)
    assert result.errors == 0


def test_errors_are_counted_by_kind() -> None:
    result = parse(ERRORS)
    assert result.socket_errors == {"connect": 1, "read": 22, "write": 3, "timeout": 4}
    assert result.non_2xx == 55
    assert result.errors == 85


def test_seconds_and_minutes_are_understood() -> None:
    assert parse(ERRORS).p50_ms == pytest.approx(1020.0)


def test_a_percentile_of_zero_is_none() -> None:
    assert parse(ERRORS).p99_ms is None


@pytest.mark.parametrize(
    "missing", ["Requests/sec", "requests in", "     99%", "     50%"], ids=str.strip
)
def test_a_report_without_a_figure_is_an_error(missing: str) -> None:
    kept = "\n".join(line for line in CLEAN.splitlines() if missing not in line)
    with pytest.raises(LoadError, match="not a wrk report"):
        parse(kept)
