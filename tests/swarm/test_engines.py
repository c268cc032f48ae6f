"""A database as a container: from Debian packages to rows that outlive its container, on a real Swarm.

Slow: the image is made of some hundred packages.
"""

import functools
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
POSTGRESQL, VALKEY, HAPROXY = (ENGINES[name] for name in ("postgresql", "valkey", "haproxy"))


@pytest.fixture(scope="session")
def image_of(swarm, tmp_path_factory):
    """Builds and pushes the image of an engine. AEREKOS_TEST_ENGINES: a folder that keeps what was built."""
    folder = Path(os.environ.get("AEREKOS_TEST_ENGINES") or tmp_path_factory.mktemp("engines"))

    @functools.cache
    def image_of(name):
        made = folder / f"{name}.tar"
        if not made.exists():
            subprocess.run(["images/engine.sh", "--tar", str(made), name], cwd=REPOSITORY, check=True)
        return swarm.push(f"engine-{name}:default", made)

    return image_of


def running_engine(engine, image, **more):
    made = {
        "key": KEY,
        "uid": "uid-db",
        "revision": "one",
        "replicas": 1,
        "image": image,
        "command": engine.command,
        "env": {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PORT": "{port}", "HOST": "0.0.0.0"},
        "ports": (Port(engine.port, name=engine.port_name),),
        "volumes": (Volume("data", engine.volume),) if engine.volume else (),
        "probes": engine.probes,
        "limits": Limits(memory=512 * 2**20),
        "stop_signal": engine.stop,
        "stop_grace_seconds": engine.stop_seconds,
        "start_seconds": engine.start_seconds,
        "account": engine.account,
    }
    return Workload(**{**made, **more})


def database(image, password="first", **more):
    file = File(SUPERUSER_FILE, password.encode(), secret=True)
    return running_engine(POSTGRESQL, image, revision=password, files=(file,), **more)


def container(swarm):
    (found,) = [each for node in swarm.nodes for each in node.client().containers.list() if "db" in each.name]
    return found


def sql(swarm, query, password="first"):
    command = ["psql", "-h", "127.0.0.1", "-U", "postgres", "-tAqc", query]
    code, said = container(swarm).exec_run(command, environment={"PGPASSWORD": password})
    return said.decode().strip() if code == 0 else f"{code}: {said.decode()}"


async def test_rows_outlive_its_container_and_another_password_is_learnt(swarm, image_of):
    image = image_of("postgresql")
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


async def test_a_cache_asks_for_its_password_and_keeps_what_it_was_told(swarm, image_of):
    file = File(SUPERUSER_FILE, b'pass "word', secret=True)
    wish = running_engine(VALKEY, image_of("valkey"), files=(file,), workers=(swarm.manager.name,))
    async with running(swarm.manager.url, keys=(KEY,)) as house:
        await house.until(wish, all_ready(1))
        told = {"REDISCLI_AUTH": 'pass "word'}
        assert container(swarm).exec_run(["redis-cli", "set", "colour", "blue"], environment=told).output == b"OK\n"
        assert b"NOAUTH" in container(swarm).exec_run(["redis-cli", "get", "colour"]).output
        container(swarm).kill("SIGKILL")
        await house.told_of("Recovered")
        await house.until(wish, all_ready(1))
        assert container(swarm).exec_run(["redis-cli", "get", "colour"], environment=told).output == b"blue\n"


async def test_a_load_balancer_serves_with_no_rights(swarm, image_of):
    answer = 'http-request return status 200 content-type text/plain string "hello"'
    config = f'defaults\n mode http\n timeout client 5s\nfrontend f\n bind "${{HOST}}:${{PORT}}"\n {answer}\n'
    wish = running_engine(
        HAPROXY,
        image_of("haproxy"),
        files=(File("/config/haproxy.cfg", config.encode()),),
        ports=(Port(8080, name="http"),),
    )
    async with running(swarm.manager.url, keys=(KEY,)) as house:
        (seen,) = await house.until(wish, all_ready(1))
        assert seen.address.endswith(":8080")
        assert container(swarm).exec_run(["haproxy", "-c", "-f", "/config/haproxy.cfg"]).exit_code == 0
        assert container(swarm).attrs["HostConfig"]["CapDrop"] == ["ALL"]
