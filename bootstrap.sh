#!/usr/bin/env bash
# From a clone to a running server, or to a full test run, in one command: see usage() below.
#
# Every step is skipped when its inputs are unchanged, so a second start takes seconds. Works from
# any directory and with bash 3.2, which is the one that macOS has.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: ./bootstrap.sh [--engine NAME] serve [MODULE:APP] [option...]
       ./bootstrap.sh [--engine NAME] test [pytest argument...]
       ./bootstrap.sh [--engine NAME] [build [--dev]]

  serve   set up, then serve MODULE:APP (default: examples/flask_app.py) on
          http://127.0.0.1:8000; options are those of `prowingen --help`
  test    set up, then run lint, the C++ tests, a smoke test on every other
          Python found, a count of the instructions that a request takes, and
          pytest; given pytest arguments, pytest alone
  build   set up only; --dev includes what `test` and the scripts need

  --engine proxygen  install proxygen, where the package manager has it, and build
                     its engine in; an error if there is none
           embedded  build the embedded engine alone
           auto      the proxygen engine too where a proxygen is found (default)

Setting up installs the system libraries in cmake/system-packages.txt with apt,
dnf or brew, makes .venv, and builds the native module into it.

environment:
  PYTHON  the interpreter to make .venv with (3.10 or newer; default: python3)
  CXX     the C++ compiler
USAGE
}

root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="$root/.venv"
stamps="$venv/.bootstrap"

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() {
  printf 'bootstrap.sh: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# --- Python ---------------------------------------------------------------------------------------

is_recent_python() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

# Sets `python` to the interpreter that .venv is, or will be, made with; empty if there is none.
find_python() {
  python=""
  if [ -n "${PYTHON:-}" ]; then
    have "$PYTHON" || die "PYTHON=$PYTHON: no such command"
    is_recent_python "$PYTHON" || die "PYTHON=$PYTHON: Python 3.10 or newer is needed"
    python="$PYTHON"
    return
  fi
  # Later runs stay with the interpreter of the first, whatever the PATH says by then.
  local candidate
  for candidate in "$(cat "$stamps/interpreter" 2>/dev/null || true)" \
    python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
    if [ -n "$candidate" ] && have "$candidate" && is_recent_python "$candidate"; then
      python="$candidate"
      return
    fi
  done
}

# --- System packages ------------------------------------------------------------------------------

compiler() {
  local candidate
  for candidate in "${CXX:-}" c++ g++ clang++; do
    if [ -n "$candidate" ] && have "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

# Whether there is a header ($1) after which the preprocessor condition ($2) holds.
has_header() {
  local prefix=""
  if ! compiler >/dev/null; then
    # It can only be looked for then, which is enough to name what is missing.
    [ -f "/usr/include/$1" ] || [ -f "/usr/local/include/$1" ]
    return
  fi
  if have brew; then
    prefix="-I$(brew --prefix)/include"
  fi
  # shellcheck disable=SC2086 # CPPFLAGS are words
  printf '#include <%s>\n#if !(%s)\n#error old\n#endif\n' "$1" "$2" |
    "$(compiler)" ${CPPFLAGS:-} $prefix -x c++ -E - -o /dev/null >/dev/null 2>&1
}

# Whether there is one in a place where CMake looks by itself or is told to.
has_proxygen() {
  local prefix prefixes="/usr /usr/local ${CMAKE_PREFIX_PATH:-}"
  if have brew; then
    prefixes="$prefixes $(brew --prefix)"
  fi
  for prefix in ${prefixes//[:;]/ }; do
    [ ! -f "$prefix/include/proxygen/httpserver/HTTPServer.h" ] || return 0
  done
  return 1
}

# A server is at home where a user's PATH may not lead.
server_path() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1"; }

# Whether nginx passes on connections too: built in, or as a module.
has_nginx_stream() {
  local nginx built modules
  nginx="$(server_path nginx)" || return 1
  built=" $("$nginx" -V 2>&1 | tail -n 1) "
  modules="${built##*--modules-path=}"
  case "$built" in *" --with-stream "*) return ;; esac
  [ -e "${modules%% *}/ngx_stream_module.so" ]
}

is_present() {
  case "$1" in
    compiler) compiler >/dev/null ;;
    cmake) have cmake && ! cmake --version | grep -qE 'version ([0-2]\.|3\.([0-9]|1[0-9]|2[01])\.)' ;;
    ninja) have ninja || have ninja-build ;;
    boost) has_header boost/version.hpp 'BOOST_VERSION >= 107400' ;;
    openssl) has_header openssl/opensslv.h 'OPENSSL_VERSION_NUMBER >= 0x30000000L' ;;
    nghttp2) has_header nghttp2/nghttp2ver.h 'NGHTTP2_VERSION_NUM >= 0x013400' ;;
    zlib) has_header zlib.h 1 ;;
    brotli) has_header brotli/encode.h 1 ;;
    zstd) has_header zstd.h 1 ;;
    libdeflate) has_header libdeflate.h 1 ;;
    googletest) has_header gtest/gtest.h 1 ;;
    chromium) have chromium || have chromium-browser || have google-chrome ;;
    proxygen) has_proxygen ;;
    python) [ -n "$python" ] ;;
    python-headers) [ -n "$python" ] && "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ;;
    python-venv) [ -n "$python" ] && "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ;;
    haproxy | ip | nginx) server_path "$1" >/dev/null ;;
    redis) server_path redis-server >/dev/null ;;
    nginx-stream) has_nginx_stream ;;
    *) have "$1" ;;
  esac
}

# Sets `missing` and `missing_extras` to the packages that the stage ($1: build or test) lacks, by
# the manager's names, and `missing_needs` to what they are for.
find_missing() {
  local stage="$1" need for apt dnf brew package name
  missing="" missing_extras="" missing_needs=""
  find_python
  name="python3"
  if [ -n "$python" ]; then
    name="$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')"
  fi
  while read -r need for apt dnf brew; do
    case "$need" in '' | '#'*) continue ;; esac
    case "$for" in
      build | library) ;;
      engine) [ "$need" = "$engine" ] || continue ;;
      *) [ "$stage" != build ] || continue ;;
    esac
    if is_present "$need"; then
      continue
    fi
    case "$manager" in
      apt-get) package="$apt" ;;
      dnf) package="$dnf" ;;
      brew) package="$brew" ;;
      *) package="$need" ;;
    esac
    package="${package//\{py\}/$name}"
    if [ "$package" = "-" ]; then
      package=""
    fi
    if [ "$for" = extra ]; then
      missing_extras="$missing_extras${package:+ $package}"
    else
      missing="$missing${package:+ $package}"
      missing_needs="$missing_needs $need"
    fi
  done <"$root/cmake/system-packages.txt"
}

find_manager() {
  manager=""
  local candidate
  for candidate in apt-get dnf brew; do
    if have "$candidate"; then
      manager="$candidate"
      return
    fi
  done
}

# Whether packages can be installed without asking anybody.
find_privilege() {
  as_root=""
  if [ "$manager" = brew ] || [ "$(id -u)" = 0 ]; then
    return 0
  fi
  as_root="sudo"
  have sudo && sudo -n true >/dev/null 2>&1
}

install_packages() {
  case "$manager" in
    apt-get)
      # A fresh machine has no package lists, so a first failure may mean just that.
      local install="env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"
      $as_root $install "$@" || { $as_root apt-get update && $as_root $install "$@"; }
      ;;
    dnf) $as_root dnf install -y "$@" ;;
    brew) brew install "$@" ;;
  esac
}

set_up_system() {
  local stage="$1" command
  find_manager
  find_missing "$stage"
  if [ -z "$missing_needs$missing_extras" ]; then
    return
  fi
  if find_privilege && [ -n "$missing$missing_extras" ]; then
    say "Installing with $manager:$missing$missing_extras"
    # shellcheck disable=SC2086 # package names are words
    if ! install_packages $missing $missing_extras </dev/null >&2 && [ -n "$missing" ]; then
      say "$manager failed; trying without what is optional"
      install_packages $missing </dev/null >&2 || true
    fi
    find_missing "$stage"
  fi
  if [ -z "$missing_needs" ]; then
    return
  fi
  if [ "$missing_needs" = " proxygen" ] && [ -z "$missing" ]; then
    die "${manager:-no package manager} has no package of proxygen. Install it with Homebrew" \
      "(brew install proxygen) or name the prefix of one of your own in CMAKE_PREFIX_PATH"
  fi
  if [ -n "$missing" ] && [ -n "$manager" ]; then
    command="$manager install$missing"
    [ "$manager" = brew ] || command="sudo $command"
    die "missing:$missing_needs. Install with: $command"
  fi
  die "missing:$missing_needs. Install them, or give another interpreter with PYTHON=..." \
    "(the packages' names: cmake/system-packages.txt)"
}

# --- .venv and the build --------------------------------------------------------------------------

# A checksum over the content of files and folders (paths below the root) and of further words.
checksum() {
  local words="$1"
  shift
  (
    cd "$root"
    printf '%s\n' "$words"
    find "$@" -type f ! -name '*.pyc' -exec cksum {} + | LC_ALL=C sort
  ) | cksum | tr ' ' '-'
}

is_stamped() { [ -f "$stamps/$1" ] && [ "$(cat "$stamps/$1")" = "$2" ]; }
stamp() { printf '%s\n' "$2" >"$stamps/$1"; }

pip_install() {
  "$venv/bin/python" -m pip install -qq --disable-pip-version-check "$@" ||
    die "pip could not install: $*. The first start needs a package index; later ones do not"
}

# PROWINGEN_PROXYGEN, as CMake wants it.
proxygen_option() {
  case "$engine" in
    proxygen) echo ON ;;
    embedded) echo OFF ;;
    auto) echo AUTO ;;
  esac
}

# $1: example or dev, the extra to install.
set_up_venv() {
  local extra="$1" identity requires dependencies native
  # A virtual environment works only where it was made, and for one interpreter.
  identity="$root $("$python" -c 'import sys; print(sys.base_prefix, sys.version)' | tr '\n' ' ')"
  if ! is_stamped identity "$identity"; then
    say "Making .venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    mkdir -p "$stamps"
    "$python" -c 'import sys; print(sys.executable)' >"$stamps/interpreter"
    stamp identity "$identity"
  fi

  dependencies="$(checksum "$identity" pyproject.toml)"
  if ! is_stamped "dependencies-$extra" "$dependencies" &&
    ! is_stamped dependencies-dev "$dependencies"; then
    say "Installing Python packages into .venv"
    requires="$(sed -n 's/^requires = \[\(.*\)\]$/\1/p' "$root/pyproject.toml" | tr -d '",')"
    # What of the extras there is no wheel of is built here as well, mostly by setuptools.
    # shellcheck disable=SC2086 # requirements are words
    pip_install --upgrade pip setuptools wheel $requires
    rm -f "$stamps/native"
  fi

  # The Python sources are used in place, so only what the native module is made of counts.
  native="$(checksum "$dependencies ${CXX:-} ${CXXFLAGS:-} ${CMAKE_PREFIX_PATH:-} $engine" \
    CMakeLists.txt cmake cpp tools prowingen_wsgi/configuration/config.py)"
  if ! is_stamped native "$native"; then
    say "Building the native module"
    # Built in .venv itself, not in a new environment each time, so that a build is incremental.
    (cd "$root" && pip_install --no-build-isolation --config-settings=editable.rebuild=false \
      --config-settings=cmake.define.PROWINGEN_PROXYGEN="$(proxygen_option)" --editable ".[$extra]")
    stamp native "$native"
    stamp "dependencies-$extra" "$dependencies"
  fi
}

set_up() {
  if [ "$1" = dev ]; then
    set_up_system test
  else
    set_up_system build
  fi
  set_up_venv "$1"
}

# --- Commands -------------------------------------------------------------------------------------

serve() {
  set_up example
  local app="flask_app:app"
  case "${1:-}" in
    '' | -*) export PYTHONPATH="$root/examples${PYTHONPATH:+:$PYTHONPATH}" ;;
    *)
      app="$1"
      shift
      ;;
  esac
  exec "$venv/bin/python" -m prowingen_wsgi "$app" "$@"
}

# Plainly, so that a run without the proxygen engine is not taken for one with it.
say_engines() {
  local version
  version="$("$venv/bin/python" -m prowingen_wsgi --version)"
  case "$version" in
    *proxygen:*) say "engines tested: embedded, proxygen" ;;
    *) say "engines tested: embedded; proxygen: not built" ;;
  esac
}

run_tests() {
  set_up dev
  cd "$root"
  if [ $# -gt 0 ]; then
    exec "$venv/bin/python" -m pytest "$@"
  fi
  # One failing step hides no other; pytest comes last, so that its summary is what one sees.
  local step failed=""
  for step in lint cpp_tests interpreters; do
    say "$step"
    "scripts/$step.sh" || failed="$failed $step"
  done
  say "instructions"
  "$venv/bin/python" tools/instructions.py --check || failed="$failed instructions"
  # Most tests wait for something most of the time: two at once take hardly more than half of it.
  local two_at_once=(--numprocesses 2)

  say "pytest over HTTPS"
  "$venv/bin/python" -m pytest "${two_at_once[@]}" --tls tests/engines || failed="$failed pytest-tls"
  say "pytest on HTTP/2"
  "$venv/bin/python" -m pytest "${two_at_once[@]}" --http2 tests/engines || failed="$failed pytest-http2"
  say "pytest"
  "$venv/bin/python" -m pytest "${two_at_once[@]}" --only together || failed="$failed pytest"
  say "pytest, one at a time"
  "$venv/bin/python" -m pytest --only alone || failed="$failed pytest-alone"
  say_engines
  [ -z "$failed" ] || die "failed:$failed"
}

engine=auto
if [ "${1:-}" = --engine ]; then
  engine="${2:-}"
  case "$engine" in
    auto | embedded | proxygen) ;;
    *) die "--engine: give auto, embedded or proxygen, not '$engine'" ;;
  esac
  shift 2
  [ $# -gt 0 ] || set -- build
fi
case "${1:-}" in
  serve | test | build)
    command="$1"
    shift
    ;;
  -h | --help | help)
    usage
    exit 0
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
case "$command" in
  serve) serve "$@" ;;
  test) run_tests "$@" ;;
  build)
    case "$*" in
      '') set_up example ;;
      --dev) set_up dev ;;
      *) die "build: unknown argument: $*" ;;
    esac
    ;;
esac
