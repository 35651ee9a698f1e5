"""The command line: `run` (the default, with `--compare` too), `setup`, and what shows results."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import compare, comparison, compression, environment, machine, report, results
from bench.choice import built_engines, choose
from bench.limits import raise_open_files
from bench.measurement import Window
from bench.paths import OUT, PEER_PYTHON, ROOT, shown
from bench.publish import publish
from bench.rows import ROWS, cases
from bench.runner import Plan, Runner

if TYPE_CHECKING:
    from types import FrameType

COMMANDS = ("run", "setup", "report", "publish", "plot", "compression", "history")
QUICK_ROWS = ["hello", "flask-json", "echo-64k", "mixed", "pipelined-16"]


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    if not words or (words[0] not in COMMANDS and words[0] not in ("-h", "--help")):
        words = ["run", *words]
    options = parser().parse_args(words)
    try:
        if options.command == "setup":
            environment.setup()
        elif options.command == "report":
            print(_shown(results.read(options.file), full=options.full), end="")
        elif options.command == "publish":
            for path in publish(results.read(options.file)):
                print(f"bench: {shown([str(path)])}", file=sys.stderr)
        elif options.command == "compression":
            compression.prepare(options.kib)
            engines = options.engines or built_engines(sys.executable)
            compression.compare(options.levels, engines, options.seconds, options.rounds)
        elif options.command == "plot":
            stem = options.stem or options.file.with_suffix("")
            _draw("bench.plot", str(options.file.resolve()), str(stem.resolve()))
        elif options.command == "history":
            _draw("bench.history")
        else:
            _run(options)
    except (environment.SetupError, ValueError, FileNotFoundError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="install the peers, wrk and libev")
    _run_options(commands.add_parser("run", help="measure (the default)"))
    shows = commands.add_parser("report", help="print a Markdown table of results")
    shows.add_argument("file", type=Path)
    shows.add_argument("--full", action="store_true", help="every server of every row")
    writes = commands.add_parser("publish", help="write the tables of README and docs")
    writes.add_argument("file", type=Path)
    codes = commands.add_parser("compression", help="what compressing costs, beside nginx's")
    codes.add_argument("--levels", type=_numbers, default=(1, 5, 6, 9), metavar="N,...")
    codes.add_argument("--engines", type=_names, default=None, metavar="ENGINE,...")
    codes.add_argument("--seconds", type=_positive, default=2, help="of each measurement")
    codes.add_argument("--rounds", type=_positive, default=3)
    codes.add_argument("--kib", type=_positive, default=64, help="size of the page")
    commands.add_parser("history", help="draw what is kept over commits, and write its page")
    draws = commands.add_parser("plot", help="draw results as PNG and SVG")
    draws.add_argument("file", type=Path)
    draws.add_argument("stem", type=Path, nargs="?", help="default: beside FILE")
    return top


def _run_options(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--compare",
        metavar="REV",
        default=None,
        help="a commit: the server of then beside the present one, and no peers; default rows: "
        f"those of --quick, {compare.ROUNDS} rounds of {compare.SECONDS} s",
    )
    run.add_argument(
        "--rows",
        type=_names,
        default=None,
        metavar="ROW,...",
        help=f"default: all of {', '.join(ROWS)}",
    )
    run.add_argument(
        "--servers",
        type=_names,
        default=None,
        metavar="SERVER,...",
        help="'ours' stands for every engine; peers named here also take part in "
        "idle-10k; default: ours and all peers",
    )
    run.add_argument(
        "--engines",
        type=_names,
        default=None,
        metavar="ENGINE,...",
        help="default: all that are built",
    )
    run.add_argument(
        "--python",
        default=sys.executable,
        help="interpreter that has prowingen_wsgi; default: this one",
    )
    run.add_argument("--rounds", type=_positive, default=None, help="default: 3")
    run.add_argument("--seconds", type=_positive, default=None, help="of one round; default: 4")
    run.add_argument(
        "--threads",
        type=_numbers,
        default=None,
        metavar="N,...",
        help="instead of a row's own; rows that are about one number keep it",
    )
    run.add_argument(
        "--connections", type=_positive, default=None, help="default: 64, or a row's own"
    )
    run.add_argument(
        "--time-limit",
        type=_positive,
        default=5400,
        metavar="SECONDS",
        help="start nothing after this; default: 5400",
    )
    run.add_argument(
        "--quick",
        action="store_true",
        help=f"a smoke test: one round of 1 s, 8 threads, {', '.join(QUICK_ROWS)}",
    )
    run.add_argument("--output", type=Path, default=None, help="default: bench/out/DATE.json")


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be 1 or more")
    return value


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(_positive(part) for part in _names(text))


def _run(options: argparse.Namespace) -> None:
    raise_open_files()
    signal.signal(signal.SIGTERM, _terminate)
    quick = options.quick
    rows = options.rows or (QUICK_ROWS if quick or options.compare else list(ROWS))
    unknown = [name for name in rows if name not in ROWS]
    if unknown:
        raise ValueError(f"--rows: no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    stamp = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
    output = options.output or OUT / f"{stamp}.json"
    command = shown(["python", "-m", "bench", *sys.argv[1:]])
    if options.compare is not None:
        print(comparison.markdown(_compare(options, rows, output, command)), end="")
        print(f"bench: {shown([str(output.resolve())])}", file=sys.stderr)
        return
    environment.require()
    window = Window(options.seconds or (1 if quick else 4), 0 if quick else 1)
    plan = Plan(
        cases=cases(rows, options.threads or ((8,) if quick else None), options.connections),
        servers=choose(
            options.servers, options.engines or built_engines(options.python), options.python
        ),
        rounds=options.rounds or (1 if quick else 3),
        window=window,
        deadline=time.monotonic() + options.time_limit,
        named=options.servers is not None,
    )
    found = results.Run(machine.about(command))
    try:
        Runner(plan, found).carry_out()
    finally:
        found.write(output)
        print(report.markdown(found), end="")
        print(f"bench: {shown([str(output.resolve())])}", file=sys.stderr)


def _compare(
    options: argparse.Namespace, rows: list[str], output: Path, command: str
) -> results.Run:
    if options.servers is not None:
        raise ValueError("--servers: with --compare none takes part but ours")
    quick = options.quick
    return compare.carry_out(
        compare.Comparison(
            revision=options.compare,
            rows=rows,
            named=options.rows is not None,
            python=options.python,
            engines=options.engines,
            threads=options.threads or (None if options.rows else (8,)),
            connections=options.connections,
            rounds=options.rounds or (2 if quick else compare.ROUNDS),
            window=Window(options.seconds or (1 if quick else compare.SECONDS), 0 if quick else 1),
            time_limit=options.time_limit,
        ),
        output,
        command,
    )


def _shown(run: results.Run, *, full: bool) -> str:
    if comparison.is_one(run) and not full:
        return comparison.markdown(run)
    return report.markdown(run, full=full)


def _terminate(signum: int, _frame: FrameType | None) -> None:
    """Unwinds, so that the server being measured is ended and results are written."""
    raise SystemExit(128 + signum)


def _draw(module: str, *arguments: str) -> None:
    if not PEER_PYTHON.exists():
        raise environment.SetupError("no matplotlib: run `python -m bench setup`")
    subprocess.run([str(PEER_PYTHON), "-m", module, *arguments], check=True, cwd=ROOT)
