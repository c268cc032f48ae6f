"""Valkey, or the Redis it comes from: Debian 12 has only Redis 7.0, which reads the same files and speaks the same
protocol. Valkey is taken where both are.
"""

from __future__ import annotations

from crds.engines.engine import CONFIG_FOLDER, SUPERUSER_FILE, Engine
from crds.probes import Exec, Probe, Probes

DATA = "/var/lib/valkey"
# What comes later wins: the configuration may change the first lines, and not the last ones.
_SCRIPT = f"""
umask 077
{{
  echo 'appendonly yes'
  if [ -e {CONFIG_FOLDER}/valkey.conf ]; then echo 'include {CONFIG_FOLDER}/valkey.conf'; fi
  echo "bind ${{HOST:-0.0.0.0}}"
  echo "port ${{PORT:-6379}}"
  echo 'dir {DATA}'
  echo 'daemonize no'
  echo 'logfile ""'
  echo 'pidfile ""'
  printf 'requirepass "%s"\\n' "$(sed 's/[\\\\"]/\\\\&/g' {SUPERUSER_FILE})"
}} >/tmp/valkey.conf
exec "$ENGINE_PROGRAM" /tmp/valkey.conf
"""
# A server that loads its data answers, but not with PONG: it is not ready, and no reason to kill it.
_ASK = f"""
export REDISCLI_AUTH="$(cat {SUPERUSER_FILE})"
client=$(command -v valkey-cli || command -v redis-cli)
said=$("$client" -h 127.0.0.1 -p "${{PORT:-6379}}" ping 2>&1)
"""
_IS_READY = f'{_ASK}[ "$said" = PONG ] || {{ echo "$said"; exit 1; }}'
_IS_ALIVE = f'{_ASK}case "$said" in PONG | *LOADING*) ;; *) echo "$said"; exit 1 ;; esac'

VALKEY = Engine(
    name="valkey",
    title="Valkey",
    programs=("valkey-server", "redis-server"),
    version_after="v=",
    package="redis-server",
    package_any="redis-server",
    units=("redis-server",),
    account="valkey",
    script=_SCRIPT,
    port=6379,
    port_name="valkey",
    volume=DATA,
    stop_seconds=30.0,
    start_seconds=3600.0,
    superuser="default",
    probes=Probes(
        readiness=Probe(exec=Exec(command=["/bin/sh", "-c", _IS_READY]), period_seconds=10, timeout_seconds=5),
        liveness=Probe(exec=Exec(command=["/bin/sh", "-c", _IS_ALIVE]), period_seconds=10, timeout_seconds=5),
    ),
)
