#!/bin/sh
# Makes the file system all our images start from: Debian with Python, from Debian packages alone, no registry needed.
# Usage: images/base.sh FILE.tar   (needs root and mmdebstrap; then: docker import FILE.tar aerekos/base:bookworm)
set -eu
[ $# = 1 ] || { echo "usage: $0 FILE.tar" >&2; exit 2; }
if ! command -v mmdebstrap >/dev/null; then
  [ "$(id -u)" = 0 ] && apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null 2>&1 \
    || { echo "mmdebstrap is missing; try: apt-get install mmdebstrap" >&2; exit 1; }
fi
# iptables, conntrack, iproute2: an agent follows machines whose address changed. The docs and perl's library nobody needs.
# The same packages give the same bytes: times are those of the newest package, not of today.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
mmdebstrap --quiet --variant=minbase --include=python3,ca-certificates,iptables,conntrack,iproute2 \
  --aptopt='APT::Install-Recommends "false"' \
  --customize-hook='cd "$1/usr" && rm -rf share/doc share/man share/locale share/info share/perl lib/*/perl' \
  --format=tar bookworm "$1.part"
mv "$1.part" "$1"
