#!/bin/sh
# `make swarm-up`: image, Swarm, stack, wait, and what to do next. Safe to repeat. Speaks to DOCKER_HOST, if set.
# AEREKOS_BASE_TAR: a base made by images/base.sh before; without it (and without the image) one is made now.
set -eu
cd "$(dirname "$0")/.."
port=${AEREKOS_PORT:-7443}
base=${BASE:-aerekos/base:bookworm}
export AEREKOS_PORT="$port" AEREKOS_IMAGE="${AEREKOS_IMAGE:-aerekos/conductor:local}"

docker info >/dev/null 2>&1 || { echo "no Docker daemon answers; try: systemctl start docker, or set DOCKER_HOST" >&2; exit 3; }
if ! docker image inspect "$base" >/dev/null 2>&1; then
  tar=${AEREKOS_BASE_TAR:-$(mktemp -u).tar}
  [ -f "$tar" ] || { echo "==> making the base image"; images/base.sh "$tar"; }
  docker import "$tar" "$base" >/dev/null
  [ -n "${AEREKOS_BASE_TAR:-}" ] || rm -f "$tar"
fi
echo "==> building $AEREKOS_IMAGE"
images/build.sh "$AEREKOS_IMAGE" >/dev/null
if [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" != active ]; then
  echo "==> making this node a Swarm manager"
  docker swarm init ${AEREKOS_ADDRESS:+--advertise-addr "$AEREKOS_ADDRESS"} >/dev/null
fi
docker stack deploy --resolve-image never -c stack.yml aerekos >/dev/null 2>&1 || docker stack deploy -c stack.yml aerekos

echo "==> waiting for the conductor"
wanted=aerekos_conductor
for _ in $(seq 120); do
  container=$(docker ps -q --filter "label=com.docker.swarm.service.name=$wanted" --filter health=healthy | head -n 1)
  [ -z "$container" ] || break
  sleep 1
done
[ -n "$container" ] || { echo "not ready after 120 s:" >&2; docker service ps --no-trunc "$wanted" >&2; exit 1; }

name=$(docker info --format '{{.Name}}')
in_it="docker exec $container python3 -m cli.main"
echo "Your cloud is ready:   https://$name:$port  (its certificate is for the name $name and for localhost)"
echo "The first login:       docker exec $container cat /data/run/first-login.json"
echo "Ask it:                $in_it get services -A"
echo "A token for a worker:  $in_it token create"
