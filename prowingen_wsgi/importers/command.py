"""The command around a conversion: what all `prowingen import-*` have in common.

Exit codes: 0 if the file is written; 1 if a file cannot be had; 2 for what is misspelt, on the
command line or in the configuration that is read.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

SUCCESS, FAILURE, MISUSE = 0, 1, 2


class CannotReadError(Exception):
    """A file that cannot be had. One line."""


class MalformedError(Exception):
    """A configuration that makes no sense. One line that says what, where and what to do."""


def add_output(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments about the file that is written."""
    parser.add_argument("-o", "--output", metavar="PATH", help="default: standard output")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def run(
    name: str, found: argparse.Namespace, convert: Callable[[], tuple[str, Iterable[str]]]
) -> int:
    """Writes what `convert` makes to the file, and its remarks to standard error; the exit code.

    name: the subcommand.
    found: the arguments, those of `add_output` among them.
    convert: raises CannotReadError, MalformedError or OSError.
    """
    output = Path(found.output) if found.output else None
    if output is not None and output.exists() and not found.force:
        return _fail(name, f"{output}: it is there already; --force replaces it", FAILURE)
    try:
        text, remarks = convert()
        if output is None:
            sys.stdout.write(text)
        else:
            output.write_text(text, encoding="utf-8")
    except MalformedError as error:
        return _fail(name, str(error), MISUSE)
    except CannotReadError as error:
        return _fail(name, str(error), FAILURE)
    except OSError as error:
        return _fail(name, f"{error.filename or 'standard output'}: {error.strerror}", FAILURE)
    for remark in remarks:
        print(remark, file=sys.stderr)
    return SUCCESS


def _fail(name: str, message: str, code: int) -> int:
    print(f"prowingen {name}: {message}", file=sys.stderr)
    return code
