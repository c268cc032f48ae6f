#!/bin/sh
# Makes this machine a worker of an aerekos cloud. `aerekos token create` prints the line that fetches and checks this
# script and runs it:  AEREKOS_JOIN_TOKEN=TOKEN sh join.sh https://CONDUCTOR:7443     (needs Docker 20.10 or newer, curl)
# The token goes by the environment, which nobody else reads, never among arguments, which everybody on a machine can.
# AEREKOS_DOCKER_SOCKET: where the Docker daemon listens, when not at /var/run/docker.sock.
# Nothing is changed on this machine but: one image, one volume (aerekos_agent), and its membership in the Swarm.
set -eu

main() {
  url=${1:?usage: AEREKOS_JOIN_TOKEN=TOKEN $0 https://CONDUCTOR:7443}
  [ $# = 1 ] || refuse "arguments can be read by everybody on this machine, and a token was among them" \
    "revoke it, and take a new line: aerekos token create"
  token=${AEREKOS_JOIN_TOKEN:?usage: AEREKOS_JOIN_TOKEN=TOKEN $0 https://CONDUCTOR:7443}
  umask 077
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  check_docker
  check_disk
  fetch_ca
  fetch_image
  say "joining (the agent checks ports, clock and the manager first)"
  AEREKOS_AGENT_TOKEN=$token docker run --rm --network host --read-only --tmpfs /tmp \
    --cap-drop ALL --cap-add NET_ADMIN --cap-add DAC_OVERRIDE --security-opt no-new-privileges --hostname "$(docker info --format '{{.Name}}')" \
    -v "${AEREKOS_DOCKER_SOCKET:-/var/run/docker.sock}:/var/run/docker.sock" -v aerekos_agent:/data \
    -e AEREKOS_AGENT_DOCKER=unix:///var/run/docker.sock -e AEREKOS_AGENT_HOME=/data -e AEREKOS_AGENT_TOKEN \
    "$image" aerekos-agent join --api "$url"
  say "this machine is a worker now; on the conductor: aerekos get workers"
}

say() { echo "==> $*"; }
refuse() { echo "cannot join: $1" >&2; [ -z "${2:-}" ] || echo "  try: $2" >&2; exit 1; }

check_docker() {
  command -v curl >/dev/null || refuse "curl is not installed" "apt-get install curl"
  command -v docker >/dev/null || refuse "docker is not installed" "apt-get install docker.io"
  version=$(docker version --format '{{.Server.Version}}' 2>/dev/null) \
    || refuse "no Docker daemon answers" "systemctl start docker, or run this as root or with DOCKER_HOST set"
  major=${version%%.*} rest=${version#*.}
  if [ "$major" -lt 20 ] || { [ "$major" = 20 ] && [ "${rest%%.*}" -lt 10 ]; }; then
    refuse "Docker $version is too old: 20.10 or newer is needed" "upgrade the Docker engine"
  fi
}

check_disk() {
  root=$(docker info --format '{{.DockerRootDir}}')
  free=$(df -Pk "$root" 2>/dev/null | awk 'NR == 2 {print $4}')
  [ -z "$free" ] || [ "$free" -ge 2097152 ] \
    || refuse "$root has only $((free / 1024)) MiB free; images need 2 GiB" "docker system prune"
}

# The token's third part is the SHA-256 of the cloud's CA: whoever else answers at that address is found out here,
# before the token is sent anywhere.
fetch_ca() {
  curl -fsSk --max-time 10 "$url/auth/ca.pem" -o "$work/ca.pem" \
    || refuse "no conductor answers at $url" "curl -k $url/health, and look at firewalls between here and there"
  pin=${token##*.}
  seen=$(sed '/-----/d' "$work/ca.pem" | base64 -d | sha256sum | cut -c 1-64)
  [ "$pin" = "$seen" ] || refuse "$url is not the cloud this token is for (its CA is $seen)" "take the whole line anew"
}

# By a header file: arguments can be read by everybody on this machine.
fetch_image() {
  printf 'Authorization: Bearer %s\n' "$token" > "$work/token"
  image=$(curl -fsS --max-time 10 --cacert "$work/ca.pem" -H "@$work/token" "$url/join/agent") \
    || refuse "the conductor refuses this token: expired, used up or revoked" "aerekos token create, on the conductor"
  docker image inspect "$image" >/dev/null 2>&1 && return
  say "fetching the agent from the conductor"
  curl -fsS --cacert "$work/ca.pem" -H "@$work/token" "$url/join/agent.tar" | docker load -q >/dev/null \
    || refuse "the agent's image did not arrive whole" "run the line again"
}

main "$@"
