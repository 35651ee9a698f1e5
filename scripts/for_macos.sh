#!/usr/bin/env bash
# Reads the sources as a compiler for macOS does, on any system: for_macos.sh [source...], all below
# cpp/ if none is given. Nothing is made of them. What breaks a build there otherwise shows when a
# release is made: functions that are macros, headers of Linux, what one standard library declares by
# chance.
#
# The compiler and macOS's headers are PyPI's ziglang, in build/macos; the libraries' headers are this
# machine's, as far as they know no system. Without the proxygen engine. Some minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work="$PWD/build/macos"
export ZIG_GLOBAL_CACHE_DIR="$work/cache" ZIG_LOCAL_CACHE_DIR="$work/cache"

if [ ! -f "$work/made" ]; then
  rm -rf "$work"
  .venv/bin/python -m venv "$work/venv"
  "$work/venv/bin/python" -m pip install -qq --disable-pip-version-check ziglang pybind11
  touch "$work/made"
fi
rm -rf "$work/include"
mkdir -p "$work/include/openssl" "$work/generated"
for name in boost brotli nghttp2 libdeflate.h zconf.h zlib.h zstd.h zstd_errors.h; do
  ln -s "/usr/include/$name" "$work/include/"
done
# Some distributions keep what is of one processor apart.
cp /usr/include/openssl/*.h /usr/include/*-linux-gnu/openssl/*.h "$work/include/openssl/" 2>/dev/null || true
.venv/bin/python tools/generate_options.py "$work/generated/options.inc"

python_headers="$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("include"))')"
pybind11="$("$work/venv/bin/python" -c 'import pybind11; print(pybind11.get_include())')"
version="$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)"
compile=("$work/venv/bin/python" -m ziglang c++ -target aarch64-macos.15.0 -std=c++20 -fsyntax-only
  -Icpp "-I$work/generated" -isystem "$work/include" -isystem "$python_headers" -isystem "$pybind11"
  "-DPROWINGEN_VERSION=\"$version\"" -DPROWINGEN_HAS_LIBDEFLATE)

if [ $# -eq 0 ]; then
  while IFS= read -r source; do
    set -- "$@" "$source"
  done < <(find cpp -name '*.cpp' ! -path '*/engine_proxygen/*' | LC_ALL=C sort)
fi
failed=0
for source in "$@"; do
  # It misses the object file that is not wanted, and fails for that alone.
  "${compile[@]}" -o "$work/none.o" "$source" >"$work/said" 2>&1 || true
  if sed '/failed to rename/d' "$work/said" | grep -q 'error:'; then
    cat "$work/said" >&2
    echo "for_macos: $source cannot be compiled" >&2
    failed=$((failed + 1))
  fi
done
echo "for_macos: $(($# - failed)) of $# sources would compile"
[ "$failed" = 0 ]
