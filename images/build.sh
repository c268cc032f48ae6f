#!/bin/sh
# Builds the conductor's image. Packages are installed on this machine and copied in, so that a build needs no network.
# Usage: images/build.sh TAG   BASE (an image with Python 3.11), PYTHON (of the same version) and DOCKER_HOST may be set.
set -eu
cd "$(dirname "$0")/.."
tag=${1:?usage: $0 TAG}
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
"${PYTHON:-python3}" -m pip --disable-pip-version-check install --quiet --no-compile --require-hashes \
  --target "$context/site" -r requirements.lock
mkdir "$context/source"
for room in crds controller services api agent cli; do cp -r "$room" "$context/source/"; done
find "$context" -name __pycache__ -prune -exec rm -rf {} +
cp images/conductor/Dockerfile "$context/"
DOCKER_BUILDKIT=0 docker build --quiet --build-arg BASE="${BASE:-aerekos/base:bookworm}" --tag "$tag" "$context"
