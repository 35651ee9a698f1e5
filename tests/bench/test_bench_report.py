from __future__ import annotations

from bench.report import markdown, number
from bench.samples import case, measurement, outcome, run


def test_a_row_names_ours_and_the_best_peer_of_each_figure() -> None:
    text = markdown(
        run(
            case(
                outcome("prowingen-embedded", measurement(90_000, p99=2.5, cpu=6.1)),
                outcome("granian", measurement(60_000, p99=5, cpu=11)),
                outcome("bjoern", measurement(45_000, p99=9, cpu=7.4)),
            )
        )
    )
    assert (
        "| hello | 8 | **90,000** | 60,000 (granian) | 1.50 | **2.50** | 5.00 (granian) "
        "| **6.10** | 7.40 (bjoern) |" in text
    )


def test_mixed_reports_the_latency_of_the_fast_requests() -> None:
    text = markdown(
        run(
            case(
                outcome("prowingen-embedded", measurement(3000, p99=70, fast_p99_ms=1.5)),
                outcome("granian", measurement(3000, p99=60, fast_p99_ms=2.5)),
                row="mixed",
                threads=16,
            )
        )
    )
    assert "**1.50** | 2.50 (granian)" in text


def test_two_engines_have_a_line_each() -> None:
    text = markdown(
        run(
            case(
                outcome("prowingen-embedded", measurement(900)),
                outcome("prowingen-proxygen", measurement(800)),
                outcome("granian", measurement(600)),
            )
        )
    )
    assert "| hello (prowingen-embedded) |" in text
    assert "| hello (prowingen-proxygen) |" in text


def test_a_ceiling_is_nobodys_peer_and_has_a_line_of_its_own() -> None:
    ceiling = outcome("proxygen-cpp", measurement(1000))
    ceiling.ceiling = True
    text = markdown(
        run(
            case(
                outcome("prowingen-embedded", measurement(1200)),
                outcome("prowingen-proxygen", measurement(900)),
                outcome("granian", measurement(600)),
                ceiling,
            )
        )
    )
    assert "600 (granian)" in text
    assert "(proxygen-cpp)" not in text
    assert "- hello @8, prowingen-proxygen: 0.90 of the 1,000 requests/s that proxygen-cpp" in text
    assert "prowingen-embedded: " not in text.partition("- hello")[2]


def test_a_failure_is_told_with_its_reason_and_row() -> None:
    text = markdown(
        run(
            case(outcome("bjoern", measurement(1))),
            case(outcome("bjoern", failure="1 answers to 16"), row="pipelined-16"),
        )
    )
    assert "- bjoern: not measured: 1 answers to 16 [pipelined-16 @8]" in text


def test_a_result_with_errors_is_marked_and_explained() -> None:
    text = markdown(
        run(
            case(
                outcome("prowingen-embedded", measurement(900, non_2xx=3)),
                outcome("granian", measurement(600)),
            )
        )
    )
    assert "**900** †" in text
    assert "- prowingen-embedded: † answers with errors" in text
    assert "(non-2xx)" in text


def test_a_note_that_holds_everywhere_names_no_row() -> None:
    one = outcome("bjoern", measurement(1), notes=["one thread"])
    other = outcome("bjoern", measurement(1), notes=["one thread"])
    assert "- bjoern: one thread\n" in markdown(run(case(one), case(other, threads=64)))


def test_rows_of_ours_alone_are_told_in_words() -> None:
    text = markdown(
        run(
            case(
                outcome("prowingen-embedded", measurement(1000)),
                outcome("prowingen-embedded+log", measurement(950)),
                row="hello-log",
            ),
            case(
                outcome(
                    "prowingen-embedded",
                    measurement(900, throughput_ratio=0.97, kib_per_connection=4.2),
                ),
                row="idle-10k",
            ),
        )
    )
    assert "hello-log @8, prowingen-embedded: 95 % of its own throughput" in text
    assert "idle-10k @8, prowingen-embedded: 97 % of its own throughput" in text
    assert "4.2 KiB of memory each" in text
    assert "| Row |" not in text


def test_what_only_rows_of_websockets_have_is_told_in_words_for_peers_too() -> None:
    text = markdown(
        run(
            case(
                outcome(
                    "granian", measurement(900, throughput_ratio=0.65, kib_per_connection=147.7)
                ),
                row="ws-idle-10k",
            ),
            case(
                outcome("granian", measurement(9000, broadcast_ms=922.4, kib_per_connection=149)),
                row="ws-broadcast-10k",
            ),
        )
    )
    assert (
        "- ws-idle-10k @8, granian: 65 % of its own throughput with 10,000 idle WebSockets open, "
        "147.7 KiB of memory each" in text
    )
    assert "- ws-broadcast-10k @8, granian: all have it after 922 ms; 149.0 KiB" in text


def test_the_full_report_lists_every_server_fastest_first() -> None:
    found = run(
        case(
            outcome("granian", measurement(100), measurement(300)),
            outcome("bjoern", measurement(900)),
        )
    )
    text = markdown(found, full=True)
    assert text.index("| bjoern 1.0 |") < text.index("| granian 1.0 |")
    assert "200 (100\N{EN DASH}300)" in text


def test_numbers_keep_three_figures() -> None:
    shown = [number(value) for value in (46112.4, 123.4, 45.67, 4.567)]
    assert shown == ["46,112", "123", "45.7", "4.57"]
