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

clang_format() { cpp_files | tr '\n' '\0' | xargs -0 clang-format --dry-run --Werror; }

# Only some files use what the compiler itself does not warn about; a clean run is remembered by
# the content of all C++ files, because a full one takes minutes.
clang_tidy() {
  local tidy="" candidate sum
  for candidate in clang-tidy-16 clang-tidy; do
    if command -v "$candidate" >/dev/null; then
      tidy="$candidate"
      break
    fi
  done
  if [ -z "$tidy" ]; then
    echo "clang-tidy: not installed, skipped"
    return
  fi
  cmake --preset debug "-DPython_EXECUTABLE=$PWD/.venv/bin/python" >/dev/null
  cmake --build build/debug --target prowingen_generated >/dev/null
  sum="$({ cpp_files | tr '\n' '\0' | xargs -0 cksum; cksum .clang-tidy CMakeLists.txt; } | cksum)"
  if [ "$(cat build/debug/clang-tidy.stamp 2>/dev/null)" = "$sum" ]; then
    return
  fi
  find cpp -name '*.cpp' -print0 |
    xargs -0 -n 1 -P "$(getconf _NPROCESSORS_ONLN)" "$tidy" -p build/debug --quiet 2>/dev/null ||
    return
  echo "$sum" >build/debug/clang-tidy.stamp
}

generated_docs() {
  python tools/generate_options.py build/configuration.md
  diff -u docs/configuration.md build/configuration.md ||
    { echo "docs/configuration.md is out of date: nox -s docs"; return 1; }
}

run ruff ruff check .
run ruff-format ruff format --check .
run mypy mypy
run stubtest python -m mypy.stubtest prowingen_wsgi._native
run clang-format clang_format
run clang-tidy clang_tidy
run docs generated_docs
if [ -n "$failed" ]; then
  echo "lint failed:$failed" >&2
  exit 1
fi
