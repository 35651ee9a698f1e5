"""Writes what bash, zsh and fish complete of the command line, from the command line itself.

    python tools/completions.py bash|zsh|fish FILE

Flags with what they mean, the values of those that have a few, and paths. The application's name
is its user's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import Argument, CommandLine, command_lines
from generate_options import write_if_changed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MADE = "# Made by tools/completions.py from the options; edit those."


def _subcommand(command: CommandLine) -> str:
    return command.name.split()[-1]


def _quoted(text: str) -> str:
    """For all three shells; fish knows no '\\''."""
    return "'" + text.replace("'", "’") + "'"


# ---------------------------------------------------------------------------------------- bash

_BASH_HEAD = r"""
_prowingen() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="" flags=""
  [ "$COMP_CWORD" -lt 1 ] || previous="${COMP_WORDS[COMP_CWORD - 1]}"
  # bash takes --flag=value for three words.
  if [ "$current" = = ]; then
    current=""
  elif [ "$previous" = = ] && [ "$COMP_CWORD" -gt 1 ]; then
    previous="${COMP_WORDS[COMP_CWORD - 2]}"
  fi
  COMPREPLY=()
""".strip("\n")


def bash(commands: list[CommandLine]) -> Iterator[str]:
    main, *subcommands = commands
    yield MADE
    yield _BASH_HEAD
    yield '  case "${COMP_WORDS[1]-}" in'
    for command in subcommands:
        yield f"    {_subcommand(command)})"
        yield from _bash_values(command, "      ")
        yield f"      flags={_quoted(_words(command))}"
        yield "      ;;"
    yield "    *)"
    yield from _bash_values(main, "      ")
    yield f"      flags={_quoted(_words(main))}"
    yield "      ;;"
    yield "  esac"
    names = " ".join(map(_subcommand, subcommands))
    yield '  if [ "$COMP_CWORD" -eq 1 ]; then'
    yield f'    flags="$flags {names}"'
    yield "  fi"
    takes_file = "|".join(_subcommand(each) for each in subcommands if _takes_file(each))
    yield '  case "${COMP_WORDS[1]-}:$current" in'
    yield '    *:-*) COMPREPLY=($(compgen -W "$flags" -- "$current")) ;;'
    yield f'    {takes_file}:*) COMPREPLY=($(compgen -f -- "$current")) ;;'
    yield '    *) [ "$COMP_CWORD" -gt 1 ] || COMPREPLY=($(compgen -W "$flags" -- "$current")) ;;'
    yield "  esac"
    yield "}"
    yield "complete -o filenames -F _prowingen prowingen"


def _words(command: CommandLine) -> str:
    return " ".join(flag for argument in command.arguments for flag in argument.flags)


def _takes_file(command: CommandLine) -> bool:
    return any(each.is_path and not each.flags for each in command.arguments)


def _bash_values(command: CommandLine, indent: str) -> Iterator[str]:
    yield f'{indent}case "$previous" in'
    for argument in command.arguments:
        if argument.flags and argument.metavar:
            reply = ""
            if argument.choices:
                reply = f'-W {_quoted(" ".join(argument.choices))} -- "$current"'
            elif argument.is_path:
                reply = '-f -- "$current"'
            reply = f"COMPREPLY=($(compgen {reply})); " if reply else ""
            yield f"{indent}  {'|'.join(argument.flags)}) {reply}return ;;"
    yield f"{indent}esac"


# ----------------------------------------------------------------------------------------- zsh


def zsh(commands: list[CommandLine]) -> Iterator[str]:
    main, *subcommands = commands
    yield "#compdef prowingen"
    yield MADE
    yield "_prowingen() {"
    yield "  if (( CURRENT > 2 )); then"
    yield '    case "$words[2]" in'
    for command in subcommands:
        yield f"      {_subcommand(command)})"
        yield "        shift words"
        yield "        (( CURRENT-- ))"
        yield from _zsh_arguments(command, "        ")
        yield "        return ;;"
    yield "    esac"
    yield "  fi"
    names = " ".join(map(_subcommand, subcommands))
    yield from _zsh_arguments(main, "  ", f"1:module\\:app:({names})")
    yield "}"
    yield '_prowingen "$@"'


def _zsh_arguments(command: CommandLine, indent: str, first: str = "") -> Iterator[str]:
    specs = [_quoted(first)] if first else []
    for argument in command.arguments:
        if argument.flags:
            specs += _zsh_specs(argument)
        elif argument.is_path:
            specs.append("'*:file:_files'")
    yield f"{indent}_arguments \\"
    yield from (f"{indent}  {spec} \\" for spec in specs[:-1])
    yield f"{indent}  {specs[-1]}"


def _zsh_specs(argument: Argument) -> Iterator[str]:
    help_text = argument.help.replace("[", "\\[").replace("]", "\\]")
    value = ""
    if argument.metavar:
        action = f"({' '.join(argument.choices)})" if argument.choices else ""
        action = "_files" if argument.is_path else action
        value = f":{argument.metavar}:{action}"
    # Only one of the spellings, unless it may be given several times.
    once = "*" if argument.repeats else f"({' '.join(argument.flags)})"
    for flag in argument.flags:
        # A value may be joined to a long flag: --threads=8.
        joined = "=" if argument.metavar and flag.startswith("--") else ""
        yield _quoted(f"{once}{flag}{joined}[{help_text}]{value}")


# ---------------------------------------------------------------------------------------- fish


def fish(commands: list[CommandLine]) -> Iterator[str]:
    main, *subcommands = commands
    names = " ".join(map(_subcommand, subcommands))
    yield MADE
    yield "complete -c prowingen -f"
    for command in subcommands:
        about = f"-d {_quoted(command.description)}"
        yield f"complete -c prowingen -n __fish_use_subcommand -a {_subcommand(command)} {about}"
    outside = f"not __fish_seen_subcommand_from {names}"
    for command, condition in [
        (main, outside),
        *((each, f"__fish_seen_subcommand_from {_subcommand(each)}") for each in subcommands),
    ]:
        for argument in command.arguments:
            prefix = f"complete -c prowingen -n {_quoted(condition)}"
            if argument.flags:
                yield f"{prefix} {_fish(argument)}"
            elif argument.is_path:
                yield f"{prefix} -F"


def _fish(argument: Argument) -> str:
    words = [
        f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in argument.flags
    ]
    if argument.is_path:
        words.append("-r -F")
    elif argument.metavar:
        words.append("-x")
    if argument.choices:
        words.append(f"-a {_quoted(' '.join(argument.choices))}")
    return " ".join([*words, f"-d {_quoted(argument.help)}"])


SHELLS: dict[str, Callable[[list[CommandLine]], Iterator[str]]] = {
    "bash": bash,
    "zsh": zsh,
    "fish": fish,
}


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in SHELLS:
        print(f"usage: completions.py {'|'.join(SHELLS)} FILE", file=sys.stderr)
        return 2
    write_if_changed(Path(arguments[1]), SHELLS[arguments[0]](command_lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
