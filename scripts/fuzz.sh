#!/usr/bin/env bash
# Runs the fuzzers: fuzz.sh [--seconds N] [--minimise] [target...]
#
# Each target of tests/fuzz has N seconds, 60 if none are given, and begins with its committed corpus,
# what earlier runs have found (build/fuzz/found) and the suite's own connections (seeds.py). With
# --minimise the committed corpus becomes the few files that reach as much as all of these.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root="$PWD"
seconds=60
minimise=
targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds="${2:?--seconds needs a number}" && shift ;;
    --minimise) minimise=1 ;;
    -*)
      echo "usage: scripts/fuzz.sh [--seconds N] [--minimise] [target...]" >&2
      exit 2
      ;;
    *) targets+=("$1") ;;
  esac
  shift
done
[ ${#targets[@]} -gt 0 ] || targets=(connections http2_frames http1_requests)

if ! command -v clang++ >/dev/null; then
  echo "fuzz: clang++ with libFuzzer is needed: apt-get install clang, dnf install clang compiler-rt," \
    "or brew install llvm" >&2
  exit 1
fi
cmake --preset fuzz "-DPython_EXECUTABLE=$root/.venv/bin/python"
cmake --build build/fuzz
.venv/bin/python tests/fuzz/seeds.py build/fuzz/seeds
export UBSAN_OPTIONS=print_stacktrace=1

for target in "${targets[@]}"; do
  program="$root/build/fuzz/tests/fuzz/fuzz_$target"
  found="$root/build/fuzz/found/$target"
  kept="$root/tests/fuzz/corpus/$target"
  mkdir -p "$found" "$kept"
  echo "== $target: $seconds seconds; what breaks it goes to build/fuzz/$target-*"
  nice -n 10 "$program" -max_total_time="$seconds" -max_len=4096 -timeout=25 -rss_limit_mb=2048 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/$target-" \
    "$found" "$kept" "build/fuzz/seeds/$target"
  [ -n "$minimise" ] || continue
  .venv/bin/python tests/fuzz/minimise.py "$program" "$kept" "$found" "build/fuzz/seeds/$target"
done
