"""Requests in flight as programs and people are told of them, whatever clients have sent."""

from __future__ import annotations

from prowingen_wsgi.control.in_flight import lines, of_process, row


def test_a_request_line_is_taken_apart() -> None:
    told = row((0x7F01, "running", "::1", "GET /a?b=c HTTP/1.1", 1.23456, None))
    assert told == {
        "ident": 0x7F01,
        "state": "running",
        "client": "::1",
        "method": "GET",
        "target": "/a?b=c",
        "seconds": 1.235,
        "seconds_left": None,
    }


def test_a_line_that_was_cut_is_shown_as_far_as_it_goes() -> None:
    assert row((1, "running", "", "GET /" + "x" * 187, 0.0, 1.0))["target"] == "/" + "x" * 187
    assert row((1, "running", "", "M" * 192, 0.0, 1.0))["target"] == ""


def test_what_has_taken_longest_comes_first() -> None:
    first = of_process(1, 11, [(1, "running", "192.0.2.1", "GET /b HTTP/1.1", 2.0, 58.0)])
    second = of_process(
        2,
        12,
        [
            (2, "waiting_for_client", "", "POST /a HTTP/1.1", 300.0, None),
            (3, "stuck", "192.0.2.2", "GET /c HTTP/1.1", 61.0, -1.0),
        ],
    )
    assert list(lines([first, second])) == [
        "worker  pid  thread  state               for    left   client     method  target",
        "2       12   0x2     waiting for client  5 min         -          POST    /a",
        "2       12   0x3     stuck               61 s   0.0 s  192.0.2.2  GET     /c",
        "1       11   0x1     running             2.0 s  58 s   192.0.2.1  GET     /b",
    ]


def test_what_says_nothing_is_named() -> None:
    assert list(lines([of_process(1, 11, [], "it starts")])) == [
        "no thread is in a request",
        "worker 1 (pid 11): it starts",
    ]


def test_hostile_text_stays_text() -> None:
    doing = (1, "running", "\x9b1;1H\n", "G\x1b[2J /\r\x07\u202e\x85 HTTP/1.1", 0.0, None)
    shown = list(lines([of_process(0, 1, [doing])]))
    assert len(shown) == 2
    assert all(line.isprintable() for line in shown)
    assert shown[1].endswith("\\x9b1;1H\\n  G\\x1b[2J  /\\r\\x07\\u202e\\x85")
