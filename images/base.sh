#!/bin/sh
# Makes the file system all our images start from: Debian with Python, from Debian packages alone, no registry needed.
# Usage: images/base.sh FILE.tar   (needs mmdebstrap; then: docker import FILE.tar aerekos/base:bookworm)
set -eu
[ $# = 1 ] || { echo "usage: $0 FILE.tar" >&2; exit 2; }
command -v mmdebstrap >/dev/null || { echo "mmdebstrap is missing; try: apt-get install mmdebstrap" >&2; exit 1; }
mmdebstrap --quiet --variant=minbase --include=python3,ca-certificates \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --format=tar bookworm "$1.part"
mv "$1.part" "$1"
