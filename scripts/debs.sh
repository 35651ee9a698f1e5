#!/usr/bin/env bash
# Builds the Debian packages, from a copy of the sources as they are here, into dist/debs or FOLDER:
#
#   scripts/debs.sh [--next] [FOLDER]
#
# --next  builds them once more into FOLDER/next with the version after it, to try an upgrade.
#
# Needs debhelper and what packaging/debian/control names: sudo apt-get build-dep ./packaging
# Where lintian is installed, what it calls an error or a warning ends this with status 2.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

next=""
if [ "${1:-}" = --next ]; then
  next=1
  shift
fi
out="$(mkdir -p "${1:-$root/dist/debs}" && cd "${1:-$root/dist/debs}" && pwd)"

if ! command -v dpkg-buildpackage >/dev/null; then
  echo "debs.sh: dpkg-buildpackage is missing: this needs Debian, and sudo apt-get install dpkg-dev" >&2
  exit 1
fi
if ! dpkg-checkbuilddeps "$root/packaging/debian/control"; then
  echo "debs.sh: install what is missing: sudo apt-get build-dep ./packaging" >&2
  exit 1
fi

work="$(mktemp -d "${TMPDIR:-/tmp}/prowingen-debs.XXXXXX")"
trap 'rm -rf "$work"' EXIT

version="$(dpkg-parsechangelog -l "$root/packaging/debian/changelog" -S Version)"
upstream="${version%-*}"
tree="$work/prowingen-wsgi-$upstream"
mkdir "$tree"
# Also what is not committed yet, and nothing that is ignored.
cd "$root"
git ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' file; do
    [ ! -e "$file" ] || printf '%s\0' "$file"
  done | tar --create --null --files-from=- | tar --extract --directory="$tree"
find "$tree" -name __pycache__ -prune -exec rm -rf {} +

# The same sources make the same packages.
SOURCE_DATE_EPOCH="$(dpkg-parsechangelog -l packaging/debian/changelog -S Timestamp)"
export SOURCE_DATE_EPOCH
tar --create --gzip --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
  --mode=go-w --directory="$work" --file="$work/prowingen-wsgi_$upstream.orig.tar.gz" \
  "prowingen-wsgi-$upstream"
cp -r "$tree/packaging/debian" "$tree/debian"

# debhelper gives builds another home, where ccache would find nothing.
if [ -z "${CCACHE_DIR:-}" ] && command -v ccache >/dev/null; then
  CCACHE_DIR="$(ccache --get-config cache_dir)"
  export CCACHE_DIR
fi
export DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-parallel=$(getconf _NPROCESSORS_ONLN)}"

# What a build leaves beside the sources, into a folder ($1).
deliver() {
  mkdir -p "$1"
  find "$1" -maxdepth 1 -type f -name '*prowingen-wsgi*' -delete
  find "$work" -maxdepth 1 -type f -exec mv {} "$1" \;
}

cd "$tree"
dpkg-buildpackage --unsigned-source --unsigned-changes
deliver "$out"

if [ -n "$next" ]; then
  # Everything but the compiler's work anew.
  find debian -name '*.debhelper.log' -delete
  rm -rf debian/.debhelper debian/tmp debian/files
  {
    printf 'prowingen-wsgi (%s+next1) unstable; urgency=medium\n\n  * To try an upgrade.\n\n' "$version"
    printf ' -- The prowingen-wsgi authors <prowingen-wsgi@example.org>  %s\n\n' "$(date -R -d "@$SOURCE_DATE_EPOCH")"
    cat debian/changelog
  } >debian/changelog.new
  mv debian/changelog.new debian/changelog
  dpkg-buildpackage --build=binary --no-pre-clean --unsigned-changes
  deliver "$out/next"
fi
ls "$out"/*.deb
if command -v lintian >/dev/null; then
  lintian --fail-on error,warning --info "$out"/*.changes
else
  echo "debs.sh: not read by lintian, which is not installed" >&2
fi
