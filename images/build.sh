#!/bin/sh
# Builds the image of every role and prints `ROLE=NAME:TAG` lines, ready to be evaluated as AEREKOS_IMAGE_<ROLE>.
# The tag is a hash of the content: the same sources give the same tag, and what is built already is not built again.
# Usage: images/build.sh   BASE (an image with Python 3.11), PYTHON (of the same version) and DOCKER_HOST may be set.
set -eu
cd "$(dirname "$0")/.."
base=${BASE:-aerekos/base:bookworm}
# Where every machine asks its own agent for images; docker needs no settings for a registry on 127.0.0.1.
door=${AEREKOS_IMAGE_DOOR:-127.0.0.1:7444}
context=$(mktemp -d)
trap 'rm -rf "$context" "$context.log"' EXIT
images/context.sh "$context"
mkdir -p "$context/images"
cp -r images/conductor images/agent images/services images/registry "$context/images/"
tag=$({ docker image inspect --format '{{.Id}}' "$base"
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$context" -c .; } | sha256sum | cut -c 1-12)
for role in conductor agent services registry; do
  name="$door/aerekos/$role:$tag"
  if ! docker image inspect "$name" >/dev/null 2>&1; then
    echo "==> building $role" >&2
    # The classic builder: the one every engine since 20.10 has.
    DOCKER_BUILDKIT=0 docker build --quiet --build-arg BASE="$base" --tag "$name" \
      --file "$context/images/$role/Dockerfile" "$context" >/dev/null 2>"$context.log" \
      || { cat "$context.log" >&2; exit 1; }
  fi
  echo "export AEREKOS_IMAGE_$(echo "$role" | tr a-z A-Z)=$name"
done
