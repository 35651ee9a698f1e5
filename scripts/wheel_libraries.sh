#!/usr/bin/env bash
# Installs what the wheels of a release are built with; run by cibuildwheel before it builds any.
#
# On macOS these are Homebrew's packages. The Linux images are AlmaLinux 8, for the sake of the old
# systems that its wheels run on, and so are its packages: OpenSSL 1.1.1, nghttp2 1.33, Boost 1.66. These
# three come from their authors' releases, in the versions and with the checksums below. A new
# version of OpenSSL is two lines here, and then a release of this project.
#
# The loader is not told of them: every program of the system would take them. auditwheel is, by
# LD_LIBRARY_PATH, where pyproject.toml calls it.
#
# PREFIX     where they go, /usr/local if it is not set
# DOWNLOADS  a folder that archives are kept in, and taken from where they are there already
set -euo pipefail
table="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/cmake/system-packages.txt"
prefix="${PREFIX:-/usr/local}"

openssl=3.5.9
openssl_sha256=603f5602e2eef00d77fbd429d34dcd5822bb301757a1bc9cdb24c670f1eb859a
nghttp2=1.70.0
nghttp2_sha256=aa317e2cf9dca6afa0aed68f8fad6ff303ec6982e25a78c75c0b65e2b9b3ded5
boost=1.88.0
boost_sha256=46d9d2c06637b219270877c9e16155cbd015b6dc84349af064c088e9b5b12f7b

die() {
  echo "wheel_libraries: $*" >&2
  exit 1
}

# The package's name in a column of the table.
package() { awk -v need="$1" -v column="$2" '$1 == need { print $column }' "$table"; }

if [ "$(uname)" = Darwin ]; then
  # shellcheck disable=SC2046 # package names are words
  brew install $(awk '$2 == "library" { print $5 }' "$table")
  exit
fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
downloads="${DOWNLOADS:-$work}"
mkdir -p "$downloads" "$prefix"

# $1: the URL, $2: its SHA-256. Unpacks it into a folder of $work, and goes there.
unpack() {
  local archive="$downloads/${1##*/}"
  if [ ! -f "$archive" ]; then
    curl --fail --location --retry 5 --silent --show-error --output "$archive.part" "$1" ||
      die "$1 cannot be had"
    mv "$archive.part" "$archive"
  fi
  echo "$2  $archive" | sha256sum --check --quiet || die "$archive is not what was released: remove it"
  mkdir "$work/source"
  tar -xf "$archive" -C "$work/source" --strip-components 1
  cd "$work/source"
}

# $1: the project, the rest: its licence, which repair_wheel.py puts into wheels.
installed() {
  local project="$1"
  shift
  mkdir -p "$prefix/share/licenses/$project"
  cp "$@" "$prefix/share/licenses/$project"
  cd "$work"
  rm -rf "$work/source"
}

if command -v dnf >/dev/null; then
  dnf install -y "$(package zlib 4)" "$(package brotli 4)" "$(package zstd 4)" perl-core perl-IPC-Cmd
  # It is among the extra packages of these systems; without it gzip is zlib's alone.
  { dnf install -y epel-release && dnf install -y "$(package libdeflate 4)"; } ||
    echo "wheel_libraries: libdeflate cannot be had: gzip is zlib's alone" >&2
fi

unpack "https://github.com/openssl/openssl/releases/download/openssl-$openssl/openssl-$openssl.tar.gz" \
  "$openssl_sha256"
# No modules, which would be looked for where this was built, and no configuration of the system's,
# which is written for the system's OpenSSL: OPENSSL_CONF names one, should it be wanted.
./config --prefix="$prefix" --libdir=lib --openssldir="$prefix/ssl" shared no-module no-apps no-docs \
  no-tests no-comp no-ssl3 enable-ec_nistp_64_gcc_128
make -j "$(nproc)" >/dev/null
make install_sw >/dev/null
installed openssl LICENSE.txt

unpack "https://github.com/nghttp2/nghttp2/releases/download/v$nghttp2/nghttp2-$nghttp2.tar.gz" \
  "$nghttp2_sha256"
./configure --prefix="$prefix" --libdir="$prefix/lib" --enable-lib-only --disable-static --quiet
make -j "$(nproc)" >/dev/null
make install >/dev/null
installed nghttp2 COPYING

unpack "https://archives.boost.io/release/$boost/source/boost_${boost//./_}.tar.bz2" "$boost_sha256"
mkdir -p "$prefix/include"
cp -R boost "$prefix/include"
installed boost LICENSE_1_0.txt

strip --strip-unneeded "$prefix"/lib/lib{ssl,crypto,nghttp2}.so
