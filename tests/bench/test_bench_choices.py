"""What the command line's names come to: rows, servers and their command lines."""

from __future__ import annotations

import pytest

from bench import static_files
from bench.choice import choose
from bench.paths import CERTIFICATE, KEY, ROOT, shown, tidy
from bench.rows import ROWS, cases
from bench.servers import PEERS, Launch, Server, ours
from bench.static_servers import ROWS as STATIC_ROWS
from bench.static_servers import STATIC_PEERS
from bench.websocket_servers import ROWS as WEBSOCKET_ROWS
from bench.websocket_servers import WEBSOCKET_PEERS, ours_blocking


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
    own = ["prowingen-embedded", "prowingen-embedded-blocking"]
    assert names == [*own, *(peer.name for peer in (*PEERS, *WEBSOCKET_PEERS, *STATIC_PEERS))]


def test_ours_stands_for_every_engine() -> None:
    names = [s.name for s in choose(["ours", "bjoern"], ["embedded", "proxygen"], "python")]
    assert names == [
        "prowingen-embedded",
        "prowingen-embedded-blocking",
        "prowingen-proxygen",
        "prowingen-proxygen-blocking",
        "bjoern",
    ]


def test_a_name_brings_the_server_of_rows_of_another_kind_too() -> None:
    found = choose(["granian", "uvicorn", "granian"], ["embedded"], "python")
    assert [(s.name, s.speaks_websocket, s.serves_files) for s in found] == [
        ("granian", False, False),
        ("granian", True, False),
        ("granian", False, True),
        ("uvicorn", True, False),
    ]


def test_the_rows_of_files_are_those_of_who_serves_files() -> None:
    assert [row.name for row in ROWS.values() if row.files] == list(STATIC_ROWS)
    for server in (ours("embedded", "python"), *STATIC_PEERS):
        if server.name == "nginx":  # whose files are named in one of its own
            continue
        command = server.command(Launch("bench.apps:hello", 20123, 8, row="static-10k"))
        assert any(str(static_files.FOLDER) in word for word in command), server.name


def test_the_row_of_kept_answers_has_them_kept() -> None:
    for engine in ("embedded", "proxygen"):
        command = ours(engine).command(Launch("bench.apps:kept", 20123, 8, row="cached-hit"))
        assert command[-2:] == ["--response-cache", "16MiB"]
        assert "--response-cache" not in ours(engine).command(Launch("bench.apps:hello", 20123, 8))


def test_the_rows_of_websockets_are_those_that_peers_have_an_application_for() -> None:
    assert [row.name for row in ROWS.values() if row.websocket] == list(WEBSOCKET_ROWS)
    assert all(set(peer.rows) <= set(WEBSOCKET_ROWS) for peer in WEBSOCKET_PEERS)


def test_an_unknown_server_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="nonesuch"):
        choose(["nonesuch"], ["embedded"], "python")


@pytest.mark.parametrize("server", [ours("embedded", "python"), *PEERS], ids=lambda s: s.name)
def test_every_command_names_application_and_port(server: Server) -> None:
    command = server.command(Launch("bench.apps:hello", 20123, 8))
    assert any(word.endswith("bench.apps:hello") for word in command)
    assert any("20123" in word for word in command)


@pytest.mark.parametrize(
    "server", [ours_blocking("embedded", "python"), *WEBSOCKET_PEERS], ids=lambda s: s.name
)
def test_a_server_of_websockets_has_an_application_of_its_own(server: Server) -> None:
    command = server.command(Launch("bench.websocket_apps:evented", 20123, 8))
    assert any(word.startswith("bench.websocket_") for word in command)
    assert "bench.websocket_apps:evented" not in command
    assert any("20123" in word for word in command)


def test_who_has_a_thread_for_each_websocket_has_enough_of_them() -> None:
    def words(server: Server) -> list[str]:
        return server.command(Launch("a:b", 1, threads=1, connections=64))

    own = words(ours_blocking("embedded", "python"))
    assert int(own[own.index("--long-lived-threads") + 1]) >= 64
    assert int(own[own.index("--threads") + 1]) > 1
    gunicorn = words(next(peer for peer in WEBSOCKET_PEERS if peer.name == "gunicorn"))
    assert int(gunicorn[gunicorn.index("--threads") + 1]) >= 64


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
