#!/usr/bin/env bash
# Tries the wheels of dist/ on fresh systems: wheels_in_debian.sh [release...], bookworm and trixie if
# none is given. Each is a Debian in a temporary folder with python3 and pip and no compiler; there pip
# installs the wheel and Flask from a folder of files, without a network, the command is to answer
# within two seconds of its start, and scripts/smoke.py to find all that is bundled. Needs root,
# debootstrap and curl, and some 300 MB a release.
#
# ROOTS=folder keeps the systems there, for the next time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds_allowed=2
clean="env -i HOME=/root PATH=/usr/local/bin:/usr/bin:/bin"  # nothing of this machine's

die() {
  echo "wheels_in_debian: $*" >&2
  exit 1
}
[ "$(id -u)" = 0 ] || die "only root can make a system and go into it"
for command in debootstrap curl; do
  command -v "$command" >/dev/null || die "$command is needed: apt-get install $command"
done
ls dist/*.whl >/dev/null 2>&1 || die "there are no wheels in dist/: make them with scripts/wheels.sh"

temporary="$(mktemp -d)"
roots="${ROOTS:-$temporary}"
mounted=""
server=""
clean_up() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$mounted" ] || umount "$mounted"
  # Not into what is mounted, should that not have been taken away.
  rm -rf --one-file-system "$temporary"
}
trap clean_up EXIT

# $1: the release. Leaves nothing mounted and nothing running.
try() {
  local release="$1" root="$roots/$1" tag address="" log status="" now begun
  echo "== Debian $release"
  if [ ! -f "$root/made" ]; then
    rm -rf --one-file-system "$root"
    debootstrap --variant=minbase --include=python3,python3-pip "$release" "$root" >"$temporary/debootstrap.log" ||
      { tail -n 5 "$temporary/debootstrap.log" >&2 && die "debootstrap failed"; }
    touch "$root/made"
  fi
  ! ls "$root"/usr/bin/*gcc* "$root"/usr/bin/c++ 2>/dev/null || die "$root has a compiler"
  mount -t proc proc "$root/proc"
  mounted="$root/proc"

  tag="$(chroot "$root" python3 -c 'import sys; print("cp%d%d" % sys.version_info[:2])')"
  rm -rf "$root/packages" "$root/site"
  mkdir "$root/packages" "$root/site"
  cp dist/*-"$tag"-"$tag"-*.whl "$root/packages" || die "dist/ has no wheel for $tag"
  .venv/bin/python -m pip download -qq --disable-pip-version-check --only-binary :all: \
    --python-version "${tag#cp}" --implementation cp --abi "$tag" --abi none --abi abi3 \
    $(wheel_platforms) --dest "$root/packages" flask
  cp examples/flask_app.py scripts/smoke.py "$root/site"

  chroot "$root" $clean unshare --net python3 -m pip install -q --root-user-action ignore \
    --break-system-packages --force-reinstall --no-index --find-links /packages prowingen-wsgi flask
  log="$temporary/$release.log"
  begun="$(date +%s%N)"
  chroot "$root" $clean sh -c 'cd /site && exec prowingen flask_app:app --bind 127.0.0.1:0' >"$log" 2>&1 &
  server=$!
  while [ "$status" != 200 ]; do
    now="$(date +%s%N)"
    [ $((now - begun)) -lt 20000000000 ] || { cat "$log" >&2 && die "no answer"; }
    address="$(grep -om 1 'http://127.0.0.1:[0-9]*' "$log" || true)"
    sleep 0.02
    status="$([ -z "$address" ] || curl -s -o /dev/null -w '%{http_code}' "$address/" || true)"
  done
  now="$(date +%s%N)"
  echo "$tag: first answer after $(((now - begun) / 1000000)) ms, of a system without compiler or headers"
  kill "$server"
  wait "$server" || die "the server's status was $?"
  server=""
  chroot "$root" $clean python3 -I /site/smoke.py || die "the smoke test failed"
  umount "$mounted"
  mounted=""
  [ $((now - begun)) -lt $((seconds_allowed * 1000000000)) ] || die "that is over $seconds_allowed s"
}

# Those of this machine that pip may take for another Python, oldest first.
wheel_platforms() {
  local minor
  for minor in 17 28 34 35 36; do
    printf -- '--platform manylinux_2_%s_%s ' "$minor" "$(uname -m)"
  done
  printf -- '--platform manylinux2014_%s' "$(uname -m)"
}

[ $# -gt 0 ] || set -- bookworm trixie
for release in "$@"; do
  try "$release"
done
