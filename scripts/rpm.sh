#!/usr/bin/env bash
# Builds the RPMs into dist/rpm or FOLDER, with what this machine has:
#
#   scripts/rpm.sh [FOLDER [rpmbuild's option...]]
#
# Where the distribution is not an RPM one, its build requirements are taken to be there, and what
# its macros would say is said here.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
out="$(mkdir -p "${1:-$root/dist/rpm}" && cd "${1:-$root/dist/rpm}" && pwd)"

for tool in rpmbuild rpmlint; do
  if ! command -v "$tool" >/dev/null; then
    echo "rpm.sh: $tool is missing: sudo apt-get install rpm rpmlint, or dnf install rpm-build rpmlint" >&2
    exit 1
  fi
done
work="$(mktemp -d "${TMPDIR:-/tmp}/prowingen-rpm.XXXXXX")"
trap 'rm -rf "$work"' EXIT

spec="$root/packaging/rpm/prowingen-wsgi.spec"
version="$(sed -n 's/^Version: *//p' "$spec")"
mkdir "$work/SOURCES"
cd "$root"
git ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' file; do
    [ ! -e "$file" ] || printf '%s\0' "$file"
  done |
  tar --create --gzip --null --files-from=- --transform="s,^,prowingen-wsgi-$version/," \
    --file="$work/SOURCES/prowingen-wsgi-$version.tar.gz"

options=()
if [ "$(rpm --eval '%{?_unitdir}')" = "" ]; then
  # Debian's own default is dist-packages.
  site="$(/usr/bin/python3 -Ic 'import sysconfig; print(sysconfig.get_path("platlib", "posix_prefix"))')"
  options=(--nodeps --define "python3_sitearch $site" --define "_unitdir /usr/lib/systemd/system"
    --define "_sysusersdir /usr/lib/sysusers.d" --define "_tmpfilesdir /usr/lib/tmpfiles.d")
fi
rpmlint "$spec"
rpmbuild -ba "${options[@]}" "${@:2}" --define "_topdir $work" "$spec"
find "$work/RPMS" "$work/SRPMS" -name '*.rpm' -exec cp {} "$out" \;
rpmlint "$out"/*.rpm || true # what it says of Debian's libraries is not the spec's
ls "$out"
