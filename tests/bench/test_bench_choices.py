"""What the command line's names come to: rows, servers and their command lines."""

from __future__ import annotations

import pytest

from bench.paths import CERTIFICATE, KEY, ROOT, shown, tidy
from bench.rows import ROWS, cases
from bench.servers import PEERS, Launch, Server, choose, ours


def test_rows_bring_their_own_thread_counts() -> None:
    found = cases(["hello", "sleep-10ms"], None, None)
    assert [case.label for case in found] == ["hello @1", "hello @8", "hello @64", "sleep-10ms @64"]


def test_given_threads_leave_rows_alone_that_are_about_one_number() -> None:
    found = cases(["hello", "sleep-10ms"], (2,), 128)
    assert [(case.label, case.connections) for case in found] == [
        ("hello @2", 128),
        ("sleep-10ms @64", 64),
    ]


def test_without_names_ours_comes_with_every_peer() -> None:
    names = [server.name for server in choose(None, ["embedded"], "python")]
    assert names == ["prowingen-embedded", *(peer.name for peer in PEERS)]


def test_ours_stands_for_every_engine() -> None:
    names = [s.name for s in choose(["ours", "granian"], ["embedded", "proxygen"], "python")]
    assert names == ["prowingen-embedded", "prowingen-proxygen", "granian"]


def test_an_unknown_server_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="nonesuch"):
        choose(["nonesuch"], ["embedded"], "python")


@pytest.mark.parametrize("server", [ours("embedded", "python"), *PEERS], ids=lambda s: s.name)
def test_every_command_names_application_and_port(server: Server) -> None:
    command = server.command(Launch("bench.apps:hello", 20123, 8))
    assert any(word.endswith("bench.apps:hello") for word in command)
    assert any("20123" in word for word in command)


def test_uwsgi_gives_each_connection_a_thread_only_if_there_are_enough() -> None:
    uwsgi = next(peer for peer in PEERS if peer.name == "uwsgi")
    assert "--http11-socket" in uwsgi.command(Launch("a:b", 1, threads=64, connections=64))
    assert "--http-keepalive" in uwsgi.command(Launch("a:b", 1, threads=8, connections=64))


@pytest.mark.parametrize(
    "server",
    [server for server in (ours("embedded", "python"), *PEERS) if server.speaks_tls],
    ids=lambda server: server.name,
)
def test_who_speaks_tls_is_given_the_certificate_when_it_is_asked_for(server: Server) -> None:
    def words(*, tls: bool) -> str:
        return " ".join(server.command(Launch("bench.apps:hello", 20123, 8, tls=tls)))

    assert str(CERTIFICATE) in words(tls=True)
    assert str(KEY) in words(tls=True)
    assert str(CERTIFICATE) not in words(tls=False)


def test_every_application_is_named_in_lower_case() -> None:
    assert all(row.app == row.app.lower() for row in ROWS.values())


def test_a_command_is_shown_without_this_machines_folders() -> None:
    command = [str(ROOT / "bench" / ".venv" / "bin" / "granian"), "--dir", "/dev/shm"]
    assert shown(command) == "bench/.venv/bin/granian --dir /dev/shm"
    assert shown(["/usr/bin/python3", "-m", "x"]) == "python3 -m x"


def test_a_message_keeps_no_folder_of_this_machine() -> None:
    text = f"{ROOT}/bench/apps.py: no; /usr/lib/python3/x.py: no; GET /no-such/42/orders"
    assert tidy(text) == "bench/apps.py: no; x.py: no; GET /no-such/42/orders"
