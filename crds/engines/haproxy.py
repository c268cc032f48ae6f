"""HAProxy: passes connections on, as its configuration says. It keeps nothing, so there may be several."""

from __future__ import annotations

from crds.engines.engine import CONFIG_FOLDER, Engine

CONFIG = f"{CONFIG_FOLDER}/haproxy.cfg"

HAPROXY = Engine(
    name="haproxy",
    title="HAProxy",
    programs=("haproxy",),
    version_flag="-v",
    version_after="version ",
    package="haproxy",
    package_any="haproxy",
    units=("haproxy",),
    account="haproxy",
    script=f'\nexec "$ENGINE_PROGRAM" -W -db -f {CONFIG}',
    port=80,
    port_name="http",
    stop="SIGUSR1",
    reload="SIGUSR2",
    most=0,
    needs_files=(CONFIG,),
    takes_env=True,
)
