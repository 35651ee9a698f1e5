"""Writes what is made from the options: the C++ options struct's fields, or the documentation.

    python tools/generate_options.py build/options.inc
    python tools/generate_options.py docs/configuration.md

The file's ending says which. A file that is up to date is left alone, so that nothing that
depends on it is built again. Needs no installed package: only the Python that runs it.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent


def load_config() -> ModuleType:
    """`prowingen_wsgi.configuration.config` as it is beside this tool, without running the package.

    An editable install would build the native module on import, which needs this tool's output:
    so the finders that such an install adds are left out.
    """
    package = ModuleType("prowingen_wsgi")
    package.__path__ = [str(ROOT / "prowingen_wsgi")]
    sys.modules["prowingen_wsgi"] = package
    sys.meta_path[:] = [
        importlib.machinery.BuiltinImporter,
        importlib.machinery.FrozenImporter,
        importlib.machinery.PathFinder,
    ]
    sys.dont_write_bytecode = True  # a build leaves nothing in the source tree
    return importlib.import_module("prowingen_wsgi.configuration.config")


def cpp_literal(value: object) -> str:
    """A C++ initializer of the value, as an options struct's field has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "{" + ", ".join(map(cpp_literal, value)) + "}"
    return repr(value)


def options_inc(options: Mapping[str, Any]) -> Iterator[str]:
    yield "// Made by tools/generate_options.py from prowingen_wsgi/configuration/config.py."
    for option in options.values():
        if option.native:
            default = cpp_literal(option.default)
            yield f"PROWINGEN_OPTION({option.cpp_type}, {option.name}, {default})"


INTRODUCTION = """\
<!-- Made by tools/generate_options.py from prowingen_wsgi/configuration/config.py; edit that. -->
# Configuration

An option has one name everywhere: `max_body` is `--max-body` on the command line,
`PROWINGEN_MAX_BODY` in the environment, `max_body` in a file, and `max_body=` in
`prowingen_wsgi.serve()` and `prowingen_wsgi.Config`. The command line wins over the environment,
that over the file, and all of them over the defaults. `prowingen --check` shows every value with
where it came from.

The file is `prowingen.toml` in the directory that the command is started in, or the table
`[tool.prowingen]` of its `pyproject.toml`, or what `--config` or `PROWINGEN_CONFIG` names. Of the
first two one is read: where both are there, `prowingen.toml`, and the log says so. Values are
TOML's, or texts as on the command line; there are no tables:

```toml
app = "hello:app"              # what the command line names instead wins
factory = false                # call app, which returns the application
bind = ["127.0.0.1:8000", "unix:/run/hello.sock"]
workers = "auto"
max_body = "10MiB"             # or 10485760
keep_alive_timeout = 2.5       # or "2500ms"
date_header = false
umask = "027"                  # or 0o027: a number without 0o is decimal
```

`env_file` names a file of `NAME=value` lines, in the format of
[python-dotenv](https://pypi.org/project/python-dotenv/), which it needs: `pip install
'prowingen-wsgi[env-file]'`. Its variables are set for the application where the environment does
not have them, before it is loaded; options among them, such as `PROWINGEN_THREADS`, count as the
environment's. `${NAME}` and `${NAME:-default}` stand for variables of the environment and of lines
before. A line that cannot be read is an error.

- Sizes are bytes, or carry a unit: `k`, `m`, `g` and `KiB`, `MiB`, `GiB` are powers of 1024;
  `kB`, `MB`, `GB` are powers of 1000. Case makes no difference.
- Durations are seconds, or carry a unit: `500ms`, `30s`, `2m`, `1h`, `1d`.
- Switches have a second flag that turns them off; a variable says `on` or `off`.
- A variable gives several values with commas between them; on the command line the option is
  repeated.
- A variable whose name begins with `PROWINGEN_` but is no option is reported at the start.
  `PROWINGEN_SERVER` and `PROWINGEN_CONFIG` are reserved. A key of the file that is no option is an
  error.
- Paths are relative to the current directory, after `chdir`; those of the configuration file and of
  `env_file` to where the command was started. They are made absolute when they are read: where the
  application goes by `os.chdir` makes no difference, nor to a log that is opened anew.
- `prowingen_wsgi.serve()` reads neither variables nor a file: a program passes what it wants. The
  options under "Processes" are the command's, and refused there.

## Coming from gunicorn

```sh
prowingen import-gunicorn gunicorn.conf.py -o prowingen.toml
```

runs gunicorn's configuration file, as gunicorn does, and writes the same as a file of this
server's; without `-o` to standard output. What has no equivalent is listed on standard error, each
with what to do instead, and so are defaults of gunicorn's that differ and matter. Where an unset
setting would mean another thing here, as `threads` and `timeout` do, gunicorn's default is written.
Where `limit_request_fields` or `limit_request_field_size` is set, `max_header_bytes` is what the
two add up to, at most 16 MiB: gunicorn has no limit of its own for a whole header section, and 64
KiB would be one. A file that is there already is replaced with `--force` only. gunicorn need not be
installed; its command line and environment variables are not read. To keep gunicorn and change its
workers alone, see [gunicorn.md](gunicorn.md). The command ends with 2 where the file cannot be run.

Likewise `prowingen import-uwsgi app.ini` ([from_uwsgi.md](from_uwsgi.md)) and `prowingen
import-granian -- granian …` ([from_granian.md](from_granian.md)). From [waitress](from_waitress.md)
and [mod_wsgi](from_mod_wsgi.md) there are tables to go by.
"""


def configuration_md(options: Mapping[str, Any]) -> Iterator[str]:
    yield from INTRODUCTION.splitlines()
    for group, members in groupby(options.values(), key=lambda option: option.group):
        yield from ("", f"## {group}", "")
        yield "| option | default | bounds | meaning |"
        yield "|---|---|---|---|"
        for option in members:
            flags = ", ".join(f"`{flag}`" for flag in option.flags)
            default = option.kind.format(option.default)
            cells = (flags, f"`{default}`" if default else "", option.kind.bounds, option.help)
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write_if_changed(path: Path, lines: Iterable[str]) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def main(arguments: list[str]) -> int:
    writers = {".inc": options_inc, ".md": configuration_md}
    if len(arguments) != 1 or Path(arguments[0]).suffix not in writers:
        print("usage: generate_options.py FILE.inc | FILE.md", file=sys.stderr)
        return 2
    out = Path(arguments[0])
    write_if_changed(out, writers[out.suffix](load_config().OPTIONS))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
