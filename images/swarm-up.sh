#!/bin/sh
# `make swarm-up`: images, Swarm, stack, wait, and what to do next. Safe to repeat. Speaks to DOCKER_HOST, if set.
# BASE: an image with Python 3.11 to build on. Without it one is made from Debian packages, by way of AEREKOS_BASE_TAR.
set -eu
cd "$(dirname "$0")/.."
stack=aerekos
export AEREKOS_PORT="${AEREKOS_PORT:-7443}"
say() { echo "==> $*"; }

docker info >/dev/null 2>&1 || { echo "no Docker daemon answers; try: systemctl start docker, or set DOCKER_HOST" >&2; exit 3; }
if [ -z "${BASE:-}" ]; then
  BASE=aerekos/base:bookworm
  if ! docker image inspect "$BASE" >/dev/null 2>&1; then
    tar=${AEREKOS_BASE_TAR:-.venv/base-bookworm.tar}
    [ -f "$tar" ] || { say "making the base image from Debian packages (about half a minute)"; images/base.sh "$tar"; }
    docker import "$tar" "$BASE" >/dev/null
  fi
fi
export BASE
say "building the images"
made=$(images/build.sh)
eval "$made"

if [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" != active ]; then
  say "making this node a Swarm manager"
  # Said explicitly, so that it stays this node's name for the others when its address changes.
  [ -n "${AEREKOS_ADDRESS:-}" ] || AEREKOS_ADDRESS=$("${PYTHON:-python3}" -c 'import socket as s
p = s.socket(s.AF_INET, s.SOCK_DGRAM); p.connect(("192.0.2.1", 9)); print(p.getsockname()[0])') || {
    echo "  which address do other machines reach? AEREKOS_ADDRESS=198.51.100.1 make swarm-up" >&2; exit 1; }
  docker swarm init --advertise-addr "$AEREKOS_ADDRESS" >/dev/null
fi
[ "$(docker info --format '{{.Swarm.ControlAvailable}}')" = true ] || {
  echo "this node is a worker of a Swarm; run this on one of its managers" >&2; exit 1; }

# Marked as a part of the stack, so that `docker stack rm` takes it along. The newest one counts; AEREKOS_ROTATE=1 makes
# another, and takes the one before away once nobody uses it.
agent_tokens() { docker secret ls --filter name=aerekos_agent_token --format '{{.Name}}' | sort; }
export AEREKOS_AGENT_TOKEN_SECRET="$(agent_tokens | tail -n 1)"
if [ -z "$AEREKOS_AGENT_TOKEN_SECRET" ] || [ -n "${AEREKOS_ROTATE:-}" ]; then
  export AEREKOS_AGENT_TOKEN_SECRET="aerekos_agent_token_$(date -u +%Y%m%d%H%M%S)"
  "${PYTHON:-python3}" -c 'import secrets; print("agents." + secrets.token_hex(24), end="")' |
    docker secret create --label com.docker.stack.namespace=$stack "$AEREKOS_AGENT_TOKEN_SECRET" - >/dev/null
fi

# The registry's certificate, for it alone; the CA that vouches for it, for the conductor. Both go by the same name.
registry_tls() { docker secret ls --filter name=aerekos_registry_tls --format '{{.Name}}' | sort; }
export AEREKOS_REGISTRY_TLS="$(registry_tls | tail -n 1)"
if [ -z "$AEREKOS_REGISTRY_TLS" ] || [ -n "${AEREKOS_ROTATE:-}" ]; then
  export AEREKOS_REGISTRY_TLS="aerekos_registry_tls_$(date -u +%Y%m%d%H%M%S)"
  made=$(mktemp -d)
  "${PYTHON:-python3}" images/registry/certificate.py "$made"
  docker config create --label com.docker.stack.namespace=$stack "$AEREKOS_REGISTRY_TLS" "$made/ca.crt" >/dev/null
  docker secret create --label com.docker.stack.namespace=$stack "$AEREKOS_REGISTRY_TLS" "$made/registry.pem" >/dev/null
  rm -rf "$made"
fi

deployed=$(mktemp)
trap 'rm -f "$deployed"' EXIT
cp stack.yml "$deployed"
export AEREKOS_OVERLAY_ENCRYPTION="${AEREKOS_OVERLAY_ENCRYPTION:-auto}"
encrypts() { docker run --rm --network none --cap-drop ALL --cap-add NET_ADMIN "$AEREKOS_IMAGE_AGENT" python3 -m agent.swarm.encryption; }
if [ "$AEREKOS_OVERLAY_ENCRYPTION" = off ] || { [ "$AEREKOS_OVERLAY_ENCRYPTION" = auto ] && ! encrypts; }; then
  echo "==> WARNING: traffic between machines will not be encrypted: $([ "$AEREKOS_OVERLAY_ENCRYPTION" = off ] \
    && echo "AEREKOS_OVERLAY_ENCRYPTION=off" || echo "this kernel has no IPsec (ESP with AES-GCM)")"
  sed -i '/driver_opts: {encrypted: ""}/d' "$deployed"
fi

say "deploying"
deploy() { docker stack deploy --resolve-image never -c "$deployed" $stack; }
deploy >/dev/null 2>&1 || deploy

say "waiting until the cloud is ready"
ask() { docker exec "$conductor" aerekos "$@"; }
ready() {
  conductor=$(docker ps -q --filter "label=com.docker.swarm.service.name=${stack}_conductor" --filter health=healthy | head -n 1)
  [ -n "$conductor" ] && ask status -o json 2>/dev/null | grep -q '^  "ready": true'
}
for waited in $(seq "${AEREKOS_WAIT:-180}"); do
  ! ready || break
  [ "$((waited % 15))" != 0 ] || echo "    still waiting ($waited s): $([ -z "$conductor" ] || ask status 2>&1 | head -n 1)"
  [ "$waited" != "${AEREKOS_WAIT:-180}" ] || { echo "not ready after $waited s:" >&2; docker stack ps --no-trunc $stack >&2; exit 1; }
  sleep 1
done

# Those that are in use by an agent that is still being replaced stay until the next time.
for old in $(agent_tokens | grep -vx "$AEREKOS_AGENT_TOKEN_SECRET"); do docker secret rm "$old" >/dev/null 2>&1 || true; done
for old in $(registry_tls | grep -vx "$AEREKOS_REGISTRY_TLS"); do
  docker secret rm "$old" >/dev/null 2>&1 && docker config rm "$old" >/dev/null 2>&1 || true
done

address=$(docker info --format '{{.Swarm.NodeAddr}}')
url="https://$address:$AEREKOS_PORT"
aerekos=$(dirname "${PYTHON:-python3}")/aerekos
login=$(ask first-login)
echo
echo "Your cloud is ready:  $url"
chosen=
if [ -x "$aerekos" ] && [ -n "$login" ]; then
  # So that the commands below work from this machine; the password goes by stdin, where nobody sees it.
  ca=$(mktemp)
  docker cp -q "$conductor:/data/tls/ca.crt" "$ca" 2>/dev/null || docker cp "$conductor:/data/tls/ca.crt" "$ca" >/dev/null
  # The one-time password stands in the first conductor's log; one that nobody wrote down takes its place.
  chosen=$(od -An -N18 -tx1 /dev/urandom | tr -d ' \n')
  { echo "$login" | sed -n '1s/.* //p'; echo "$chosen"; } |
    "$aerekos" login --server "$url" --ca "$ca" --user admin --password-stdin || chosen=
  rm -f "$ca"
fi
if [ -n "$chosen" ]; then
  echo "Login (shown once):   admin / $chosen"
elif [ -n "$login" ]; then
  echo "$login"
fi
echo
ask status
echo
echo "Try:  aerekos get services -A              (after: aerekos login --server $url --ca CA --user admin)"
echo "      eval \$(aerekos env) && aws kms create-key"
echo "      aerekos kubeconfig > kubeconfig && kubectl --kubeconfig kubeconfig get workers"
echo
ask token create --uses 1
