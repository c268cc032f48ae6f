#!/bin/sh
# Builds the image of an engine from Debian packages alone, no registry needed, and prints its name. The conductor of a
# Swarm asks this machine's Docker for it and keeps it in the cloud's registry.
# Usage: images/engine.sh NAME [MAJOR]              (needs root, mmdebstrap and docker)
#        images/engine.sh --tar FILE NAME [MAJOR]   only the file system
# PYTHON (one that has our requirements; .venv's, where there is one) and AEREKOS_IMAGE_DOOR may be set.
set -eu
cd "$(dirname "$0")/.."
tar=
if [ "${1:-}" = --tar ]; then tar=${2:?}; shift 2; fi
name=${1:?usage: $0 [--tar FILE] NAME [MAJOR]}
major=${2:-}
venv=.venv/bin/python
[ -x "$venv" ] || venv=python3
python=${PYTHON:-$venv}
# What is known of it, from the one place that knows.
facts=$("$python" -c '
import shlex, sys
from crds.engines import ENGINES
name, major = sys.argv[1:3]
if name not in ENGINES: sys.exit(f"there is no engine {name}; one of {chr(44).join(sorted(ENGINES))}")
one = ENGINES[name]
quiet = "".join(f"mkdir -p \"$1/$(dirname {path})\" && printf %s {shlex.quote(text)} >\"$1{path}\"; "
                for path, text in one.while_installing.items())
links = "".join(f"for each in \"$1\"{folder}/*; do ln -sf \"${{each#\"$1\"}}\" \"$1/usr/local/bin/\"; done; "
                for folder in one.folders[:1])
for key, value in dict(packages=one.packages(major), account=one.account, volume=one.volume, quiet=quiet or "true",
                       links=links or "true").items():
    print(f"{key}={shlex.quote(value)}")
' "$name" "$major") || exit 1
eval "$facts"
if ! command -v mmdebstrap >/dev/null; then
  [ "$(id -u)" = 0 ] && apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null 2>&1 \
    || { echo "mmdebstrap is missing; try: apt-get install mmdebstrap" >&2; exit 1; }
fi
made=${tar:-$(mktemp)}
[ -n "$tar" ] || trap 'rm -f "$made"' EXIT
# The same packages give the same bytes: times are those of the newest package, not of today.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
# 10002: as whom every engine runs (controller/runtime/swarm/service_spec.py). A new volume takes its owner from here.
mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt='APT::Install-Recommends "false"' \
  --setup-hook="$quiet" \
  --customize-hook="$links" \
  --customize-hook='cd "$1/etc" && sed -i "/^'"$account"':/d" passwd group \
    && echo "'"$account"':x:10002:10002::/tmp:/bin/sh" >>passwd && echo "'"$account"':x:10002:" >>group' \
  --customize-hook='[ -z "'"$volume"'" ] || { rm -rf "$1'"$volume"'" && mkdir -p "$1'"$volume"'" \
    && chown 10002:10002 "$1'"$volume"'" && chmod 700 "$1'"$volume"'"; }' \
  --customize-hook='find "$1" -xdev -type f -perm /6000 -exec chmod a-s {} +' \
  --customize-hook='cd "$1/usr" && rm -rf share/doc share/man share/info' \
  --format=tar bookworm "$made"
[ -z "$tar" ] || exit 0
image=${AEREKOS_IMAGE_DOOR:-127.0.0.1:7444}/aerekos/engine-$name:${major:-default}
docker import "$made" "$image" >/dev/null
echo "$image"
