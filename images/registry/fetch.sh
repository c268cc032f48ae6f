#!/bin/sh
# Puts Debian's docker-registry (one static program) into FOLDER: from this machine, else unpacked from its package.
# Usage: images/registry/fetch.sh FOLDER
set -eu
to=${1:?usage: $0 FOLDER}
mkdir -p "$to"
if [ -x /usr/bin/docker-registry ]; then
  cp /usr/bin/docker-registry "$to/"
  exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
( cd "$work" && apt-get download -qq docker-registry >/dev/null && dpkg-deb -x docker-registry_*.deb . ) \
  || { echo "docker-registry cannot be had; try: apt-get install docker-registry" >&2; exit 1; }
cp "$work/usr/bin/docker-registry" "$to/"
