#!/usr/bin/env bash
# Every CPython 3.10 or newer on this machine, on the PATH or pyenv's: one line each, its version and
# the real path of its executable.
set -euo pipefail

describe='import os, platform, sys
if sys.version_info >= (3, 10) and platform.python_implementation() == "CPython":
    print(platform.python_version(), os.path.realpath(getattr(sys, "_base_executable", sys.executable)))'

# Of the one that is given alone.
if [ $# -gt 0 ]; then
  exec "$1" -c "$describe"
fi
{
  IFS=:
  for folder in $PATH; do
    ls "$folder"/python3 "$folder"/python3.[0-9] "$folder"/python3.[0-9][0-9] 2>/dev/null || true
  done
  ls "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3 2>/dev/null || true
} | while read -r candidate; do
  "$candidate" -c "$describe" 2>/dev/null || true
done | sort -u
