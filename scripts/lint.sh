#!/usr/bin/env bash
# Every check that reads code without running it. `lint.sh --fix` formats and repairs first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"

cpp_files() { find cpp tests/cpp -name '*.h' -o -name '*.cpp' | LC_ALL=C sort; }

if [ "${1:-}" = --fix ]; then
  ruff check --fix-only --quiet .
  ruff format --quiet .
  cpp_files | tr '\n' '\0' | xargs -0 clang-format -i
fi

# One failing check hides no other.
failed=""
run() {
  local name="$1"
  shift
  "$@" || failed="$failed $name"
}

# Names the files alone: clang-format itself would show every line of them.
clang_format() {
  local file found=0
  while read -r file; do
    if ! clang-format --dry-run --Werror "$file" 2>/dev/null; then
      echo "$file: not formatted; scripts/lint.sh --fix does it"
      found=1
    fi
  done < <(cpp_files)
  return "$found"
}

# A clean run is remembered by what it read, since it takes most of the time that lint takes.
clang_tidy() {
  local tidy sum
  if [ "$(uname)" != Linux ]; then
    echo "clang-tidy: skipped, as this version cannot read every other system's headers"
    return
  fi
  # Not the command of that name, which needs a setuptools that new environments do not have.
  tidy="$(python -c 'import importlib.util, pathlib
package = pathlib.Path(importlib.util.find_spec("clang_tidy").origin).parent
print(package / "data/bin/clang-tidy")')" || return
  cmake --preset debug "-DPython_EXECUTABLE=$PWD/.venv/bin/python" >/dev/null || return
  cmake --build build/debug --target prowingen_generated >/dev/null || return
  sum="$(find cpp .clang-tidy CMakeLists.txt cmake -type f -exec cksum {} + | LC_ALL=C sort | cksum)"
  if [ "$(cat build/debug/clang-tidy.stamp 2>/dev/null)" = "$sum" ]; then
    return
  fi
  # What is built here: an engine whose library is missing cannot be read either. It counts the
  # warnings in system headers, which nobody can see, on standard error.
  python -c 'import json
for entry in json.load(open("build/debug/compile_commands.json")):
    if "/cpp/" in entry["file"] and "/tests/" not in entry["file"]:
        print(entry["file"])' |
    xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN)" "$tidy" -p build/debug --quiet 2>/dev/null &&
    echo "$sum" >build/debug/clang-tidy.stamp
}

run ruff ruff check .
run ruff-format ruff format --check .
run mypy mypy
run stubtest python -m mypy.stubtest prowingen_wsgi._native --allowlist scripts/stubtest.allow
run clang-format clang_format
run clang-tidy clang_tidy
if [ -n "$failed" ]; then
  echo "lint failed:$failed" >&2
  exit 1
fi
