#!/usr/bin/env bash
# Builds and runs the C++ unit tests: cpp_tests.sh [preset], where the preset is debug if not given.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
preset="${1:-debug}"
cmake --preset "$preset" "-DPython_EXECUTABLE=$PWD/.venv/bin/python"
cmake --build "build/$preset"
ctest --preset "$preset"
