"""The command `prowingen ctl`: asks a server that runs, by its control socket.

Exit codes, for scripts: 0 done, and for `status` ready; 1 refused, or tried and failed; 2 a wrong
command line; 3 no server listens there; 4 `status`: not ready; 5 a server that does not answer.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ..originals import os
from ..output import print_error, write_output
from . import shown
from .client import PATIENCE, Answer, NoServerError, SilentError, ask
from .protocol import COMMANDS, CONFIGURED, LEVELS, LONGEST_WAIT, OUTCOME_TIME, NotDone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DONE, FAILED, MISUSE, NO_SERVER, NOT_READY, SILENT = range(6)
VARIABLE = "PROWINGEN_CONTROL_SOCKET"

_DESCRIPTION = "Asks a server that runs, by the socket that its option --control-socket names."
_EPILOG = f"""\
commands:
  status           what the server does, and whether it is ready
  workers          the worker processes
  requests         what each thread has in hand: which request, whose, and for how long
  stacks           what each thread of each process is in, and for which request
  reload           what SIGHUP does: the workers are replaced, with new code
  stop             what SIGTERM does: requests finish, then the server ends
  log-level LEVEL  all processes log from there on: {", ".join(LEVELS)},
                   or {CONFIGURED} for what the configuration says
  ready on|off     off: the whole server is out of load balancing, probes are told 503

exit codes:
  0  done; status: it is ready
  1  refused, or tried and failed
  2  a wrong command line
  3  no server listens there
  4  status: it is not ready
  5  the server does not answer
"""
# What a command takes beside its name.
_VALUES = {"log-level": (*LEVELS, CONFIGURED), "ready": ("on", "off")}
_FLAGS = {"reload": ("wait",), "stop": ("wait", "now")}


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prowingen ctl",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "command",
        choices=tuple(COMMANDS),
        metavar="COMMAND",
        help="status, workers, requests, stacks, reload, stop, log-level LEVEL, ready on, or "
        "ready off",
    )
    parser.add_argument(
        "value", nargs="?", metavar="VALUE", help="what log-level and ready are to be"
    )
    parser.add_argument("--socket", metavar="PATH", help=f"the server's (default: ${VARIABLE})")
    parser.add_argument("--json", action="store_true", help="print lines of JSON, for programs")
    parser.add_argument(
        "--wait", action="store_true", help="reload, stop: wait for the outcome, and say it"
    )
    parser.add_argument(
        "--now", action="store_true", help="stop: as SIGQUIT does, which closes everything at once"
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help=f"how long to wait for an answer (default: {PATIENCE:g}); with --wait, for the "
        f"outcome (default: {OUTCOME_TIME:g})",
    )
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"{text!r}: more than 0, at most {LONGEST_WAIT:g} seconds")
    return seconds


def main(arguments: Sequence[str], say: Callable[[str], object] | None = None) -> int:
    """Runs the command and returns its exit code.

    say: is given each line in place of standard output.
    """
    given, asked = _understood(arguments)
    patience = PATIENCE if given.wait else given.timeout or PATIENCE
    answer = ask(given.socket, given.command, patience=patience, **asked)
    try:
        return _carry_out(answer, given.command, given.json, say or _print)
    except BrokenPipeError:  # whoever reads it has enough
        return DONE


def _understood(arguments: Sequence[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    """What is given, and what the command's arguments are by that. Ends the process by exit code 2
    if it is wrong."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    command: str = given.command
    if command in _VALUES and given.value not in _VALUES[command]:
        parser.error(f"{command} takes one of {', '.join(_VALUES[command])}")
    if command not in _VALUES and given.value is not None:
        parser.error(f"{command} takes no value, and {given.value!r} is one")
    for flag in ("wait", "now"):
        if getattr(given, flag) and flag not in _FLAGS.get(command, ()):
            parser.error(f"--{flag}: {command} does not take it")
    given.socket = given.socket or os.environ.get(VARIABLE, "")
    if not given.socket:
        parser.error(f"which server? Give its --socket PATH, or set {VARIABLE}")
    asked: dict[str, Any] = {flag: getattr(given, flag) for flag in _FLAGS.get(command, ())}
    if given.wait:
        asked["timeout"] = given.timeout or OUTCOME_TIME
    if command == "ready":
        asked["ready"] = given.value == "on"
    elif command == "log-level":
        asked["level"] = given.value
    return given, asked


def _carry_out(answer: Answer, command: str, as_json: bool, say: Callable[[str], object]) -> int:
    def give_up(code: int, name: str, error: Exception) -> int:
        if as_json:
            say(json.dumps({"ok": False, "error": {"code": name, "message": str(error)}}))
        else:
            print_error(shown.printable(str(error)))
        return code

    try:
        for event in answer:
            say(json.dumps({"event": event}) if as_json else shown.event(event))
    except NoServerError as error:
        return give_up(NO_SERVER, "no-server", error)
    except SilentError as error:
        return give_up(SILENT, "silent", error)
    except NotDone as error:
        return give_up(FAILED, error.code, error)
    if as_json:
        say(json.dumps({"ok": True, "result": answer.result}))
    else:
        say(shown.result(command, answer.result))
    return NOT_READY if command == "status" and not answer.result["ready"] else DONE


def _print(text: str) -> None:
    write_output(f"{text}\n")
