#!/usr/bin/env bash
# Installs the package as users do, into an environment of its own for every Python 3.10 or newer
# on this machine beside the one in .venv, and runs scripts/smoke.py there. With the embedded engine
# alone: an engine knows nothing of Python, and the others take minutes to compile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

default="$(scripts/pythons.sh .venv/bin/python)"
scripts/pythons.sh | while read -r version executable; do
  if [ "$version $executable" = "$default" ]; then
    continue
  fi
  folder="build/interpreters/$version-$(printf '%s' "$executable" | cksum | cut -d ' ' -f 1)"
  echo "Python $version ($executable)"
  if ! "$executable" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "  skipped: it cannot make virtual environments"
    continue
  fi
  if [ ! -f "$folder/made" ]; then
    rm -rf "$folder"
    "$executable" -m venv "$folder/venv"
    touch "$folder/made"
  fi
  "$folder/venv/bin/python" -m pip install -qq --disable-pip-version-check --force-reinstall \
    "--config-settings=build-dir=$folder/tree" \
    --config-settings=cmake.define.PROWINGEN_PROXYGEN=OFF .
  "$folder/venv/bin/python" -I scripts/smoke.py
done
