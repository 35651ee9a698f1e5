"""How many instructions a request costs, with what is to be watched over and without.

    python tools/instructions.py                      # nothing, each switch alone, and all
    python tools/instructions.py nothing trace all    # these
    python tools/instructions.py --at-most 1.05 nothing all
    python tools/instructions.py --profile build/profile all  # and where they go
    python tools/instructions.py --check              # hello and Flask, beside what is kept: for CI
    python tools/instructions.py --keep               # keeps what they cost now

Instructions tell a change of one per cent on a machine whose clock tells none of ten: others that
run beside it do not count. Not all cost the same, though, so that the last word is with CPU time.

Valgrind counts the server's own; what the kernel does for it, it does not see. Each configuration
is counted twice, for few requests and for many: the difference between the two has no part of the
start and of the end. They come as those of a loaded server do, over some connections at a time,
each of which asks again once all have been answered.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from counted_apps import APPLICATIONS, HELLO, MODULE, Application
from counted_build import NotCounted
from counted_windows import CountError
from kept_instructions import check, keep

SWITCHES = {
    "timeout": ["--request-timeout", "30", "--max-stuck", "4"],
    "queue": ["--queue-timeout", "10", "--queue-target", "0.1"],
    "concurrency": ["--max-concurrency", "/reports=2"],
    "rate": ["--rate-limit", "1000000/s"],
    "health": ["--health-path", "/-/health"],
    "metrics": ["--admin-bind", "unix:{folder}/admin.sock"],
    "trace": ["--trace-context"],
    "request-id": ["--request-id"],
    "control": ["--control-socket", "{folder}/control.sock"],
}
BASE = "nothing"
ALL = "all"
CONNECTIONS = 16
PATIENCE = 180.0
"""Seconds for a start under valgrind, which takes ten of them on a good day."""


@dataclass(frozen=True)
class Plan:
    python: str
    engine: str
    few: int
    many: int
    rounds: int
    profile: Path | None
    application: Application = HELLO


def options_of(names: str) -> list[str]:
    """Of one switch, several with a plus between them, all, or nothing."""
    if names == BASE:
        return []
    chosen = list(SWITCHES) if names == ALL else names.split("+")
    if unknown := [name for name in chosen if name not in SWITCHES]:
        known = ", ".join([BASE, ALL, *SWITCHES])
        raise CountError(f"{unknown[0]}: no such switch; there are {known}")
    return [option for name in chosen for option in SWITCHES[name]]


def free_port() -> int:
    """Not of a Unix socket's: who comes by that is nobody, and has no rate."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def ask(port: int, requests: int, application: Application = HELLO) -> None:
    """Over all connections, round by round; each answer is looked at."""
    with ExitStack() as opened:
        clients = [
            opened.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
            for _ in range(CONNECTIONS)
        ]
        for _ in range(requests // CONNECTIONS):
            for client in clients:
                client.sendall(application.question)
            for client in clients:
                answer = b""
                while not answer.endswith(application.end):
                    piece = client.recv(65536)
                    if not piece:
                        raise CountError(f"the server closed a connection after {answer!r}")
                    answer += piece
                if not answer.startswith(b"HTTP/1.1 200 "):
                    raise CountError(f"the server answered {answer.splitlines()[0]!r}")


def serves(port: int, application: Application) -> bool:
    try:
        ask(port, CONNECTIONS, application)
    except ConnectionRefusedError:
        return False
    return True


def until_it_serves(
    server: subprocess.Popen[str], port: int, application: Application = HELLO
) -> None:
    ends = time.monotonic() + PATIENCE
    while not serves(port, application):
        if server.poll() is not None:
            raise CountError(f"the server did not start:\n{server.communicate()[1]}")
        if time.monotonic() > ends:
            raise CountError(f"the server did not start within {PATIENCE:g} s")
        time.sleep(0.05)


def count(plan: Plan, options: list[str], requests: int, profile: Path | None) -> int:
    """Instructions from the server's start to its end, with so many requests between."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{MODULE}.py").write_text(plan.application.source)
        port = free_port()
        command = ["valgrind", "--cache-sim=no"]
        if profile:
            command += ["--tool=callgrind", f"--callgrind-out-file={profile.resolve()}"]
        else:
            command += ["--tool=cachegrind", "--cachegrind-out-file=/dev/null"]
        command += [plan.python, "-m", "prowingen_wsgi", f"{MODULE}:app", "--threads", "2"]
        command += ["--bind", f"127.0.0.1:{port}", "--engine", plan.engine]
        command += [option.format(folder=folder) for option in options]
        server = subprocess.Popen(
            command,
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": "0"},
        )
        try:
            until_it_serves(server, port, plan.application)
            ask(port, requests, plan.application)
            server.send_signal(signal.SIGTERM)
            stderr = server.communicate(timeout=PATIENCE)[1]
        finally:
            if server.poll() is None:
                server.kill()
                server.communicate()
    said = re.search(r"(?:I +refs: +|Collected : )([\d,]+)", stderr)
    if said is None:
        raise CountError(f"valgrind told no count:\n{stderr}")
    return int(said[1].replace(",", ""))


def each_request(plan: Plan, name: str) -> float:
    """The least of some counts: threads that a busy machine keeps waiting wake up more often."""
    return min(counted_once(plan, name) for _ in range(plan.rounds))


def counted_once(plan: Plan, name: str) -> float:
    options = options_of(name)
    nowhere = Path("/dev/null")
    few = count(plan, options, plan.few, nowhere if plan.profile else None)
    many = count(plan, options, plan.many, plan.profile / name if plan.profile else None)
    return (many - few) / (plan.many - plan.few)


def requests_number(text: str) -> int:
    number = int(text)
    if number < CONNECTIONS or number % CONNECTIONS:
        raise argparse.ArgumentTypeError(f"{number}: must be a multiple of {CONNECTIONS}")
    return number


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "names",
        nargs="*",
        metavar="CONFIGURATION",
        help=f"{', '.join(SWITCHES)}, several of them with + between, {BASE} or {ALL}",
    )
    parser.add_argument("--engine", default="embedded")
    parser.add_argument(
        "--application", choices=APPLICATIONS, help="default: hello; of --check and --keep: each"
    )
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument(
        "--check",
        action="store_true",
        help="1 is returned if a request costs over 3 %% more than kept",
    )
    kept.add_argument("--keep", action="store_true", help="write down what a request costs now")
    parser.add_argument("--python", default=sys.executable, help="that has prowingen_wsgi")
    parser.add_argument("--requests", type=requests_number, default=3200)
    parser.add_argument("--rounds", type=int, default=3, help="of which the least counts")
    parser.add_argument(
        "--at-most", type=float, metavar="RATIO", help="1 is returned if any costs more than that"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where figures are written")
    parser.add_argument(
        "--profile", type=Path, metavar="FOLDER", help="where callgrind's files are written"
    )
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    if chosen.check or chosen.keep:
        if chosen.names:
            raise CountError("--check and --keep count servers with nothing switched on")
        applications = [chosen.application] if chosen.application else list(APPLICATIONS)
        return (check if chosen.check else keep)(chosen.python, [chosen.engine], applications)
    if shutil.which("valgrind") is None:
        raise CountError("valgrind is not installed")
    few = 320
    many = few + chosen.requests
    rounds = max(chosen.rounds, 1)
    application = APPLICATIONS[chosen.application or "hello"]
    plan = Plan(chosen.python, chosen.engine, few, many, rounds, chosen.profile, application)
    names = chosen.names or [BASE, *SWITCHES, ALL]
    for name in names:
        options_of(name)
    if plan.profile:
        plan.profile.mkdir(parents=True, exist_ok=True)
    figures: dict[str, float] = {}
    for name in names:
        figures[name] = each_request(plan, name)
        ratio = figures[name] / figures[names[0]]
        print(f"{name:<24} {figures[name]:>10,.0f} {ratio:>8.3f}", flush=True)
    if chosen.json:
        chosen.json.write_text(
            json.dumps({"engine": plan.engine, "instructions": figures}, indent=1)
        )
    most = max(figures.values()) / figures[names[0]]
    return int(chosen.at_most is not None and most > chosen.at_most)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CountError, NotCounted) as error:
        sys.exit(f"{Path(__file__).name}: {error}")
