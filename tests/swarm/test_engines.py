"""A database as a container: from Debian packages to rows that outlive its container, on a real Swarm.

Slow: the image is made of some hundred packages.
"""

import os
import subprocess
from pathlib import Path

import pytest
from swarm.houses import all_ready, running

from controller.runtime.driver import File, Limits, Port, Volume, Workload
from crds.engines import ENGINES, SUPERUSER_FILE
from crds.meta import ObjectKey

pytestmark = pytest.mark.anyio
REPOSITORY = Path(__file__).parents[2]
KEY = ObjectKey("aerekos.cloud", "services", "default", "db")
ENGINE = ENGINES["postgresql"]


@pytest.fixture(scope="session")
def image(swarm, tmp_path_factory):
    made = Path(os.environ.get("AEREKOS_TEST_ENGINE_TAR") or tmp_path_factory.mktemp("engine") / "postgresql.tar")
    if not made.exists():
        subprocess.run(["images/engine.sh", "--tar", str(made), "postgresql"], cwd=REPOSITORY, check=True)
    return swarm.push("engine-postgresql:default", made)


def database(image, password="first", **more):
    made = {
        "key": KEY,
        "uid": "uid-db",
        "revision": password,
        "replicas": 1,
        "image": image,
        "command": ENGINE.command,
        "env": {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PORT": "{port}", "HOST": "0.0.0.0"},
        "ports": (Port(5432, name="sql"),),
        "volumes": (Volume("data", ENGINE.volume),),
        "files": (File(SUPERUSER_FILE, password.encode(), secret=True),),
        "probes": ENGINE.probes,
        "limits": Limits(memory=512 * 2**20),
        "stop_signal": ENGINE.stop,
        "stop_grace_seconds": ENGINE.stop_seconds,
        "start_seconds": ENGINE.start_seconds,
        "account": ENGINE.account,
    }
    return Workload(**{**made, **more})


def container(swarm):
    (found,) = [each for node in swarm.nodes for each in node.client().containers.list() if "db" in each.name]
    return found


def sql(swarm, query, password="first"):
    command = ["psql", "-h", "127.0.0.1", "-U", "postgres", "-tAqc", query]
    code, said = container(swarm).exec_run(command, environment={"PGPASSWORD": password})
    return said.decode().strip() if code == 0 else f"{code}: {said.decode()}"


async def test_rows_outlive_its_container_and_another_password_is_learnt(swarm, image):
    here = (swarm.manager.name,)  # where its data is; the reconciler knows that from its status
    async with running(swarm.manager.url, keys=(KEY,)) as house:
        await house.until(database(image, workers=here), all_ready(1, "first"))
        sql(swarm, "create table lines as select generate_series(1, 100) as n")
        assert sql(swarm, "select count(*) from lines") == "100"
        first = container(swarm)
        assert first.attrs["Config"]["User"] == "10002:10002" and first.attrs["HostConfig"]["ReadonlyRootfs"]
        assert first.exec_run(["stat", "-c", "%a %u", SUPERUSER_FILE]).output.split() == [b"400", b"10002"]
        first.kill("SIGKILL")
        await house.told_of("Recovered")
        await house.until(database(image, workers=here), all_ready(1, "first"))
        assert sql(swarm, "select count(*) from lines") == "100"
        await house.until(database(image, "second", workers=here), all_ready(1, "second"))
        assert sql(swarm, "select count(*) from lines", "second") == "100"
        assert "database system is shut down" in "\n".join(await house.driver.logs(KEY, None, tail=200))
