"""What a cloud costs when nobody asks anything of it: CPU and memory of the conductor and of an agent.

`python bench/idle.py [seconds]`. The cloud is as `aerekos up` leaves it, with its managed services and the embedded
agent. The agent is measured as the process that runs on every other machine, joined to that same cloud.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from cloud import Cloud, a_cloud
from verdicts import Verdict, limit, table

SETTLE_SECONDS = 5.0
MIB = 2**20


@contextmanager
def an_agent(cloud: Cloud) -> Iterator[int]:
    """Its pid, once it has joined."""
    token = cloud.do("token", "create").split()[0]
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "agent.main", "--api", f"https://127.0.0.1:{cloud.port}"]
        command += ["--token", token, "--home", home, "--name", "bench-worker"]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=cloud.env)
        try:
            _wait_for(Path(home) / "agent" / "identity.json")
            yield child.pid
        finally:
            child.terminate()
            child.wait()


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.exists():
        if time.monotonic() > deadline:
            raise RuntimeError("the agent did not join within 30 s")
        time.sleep(0.05)


def percent_of_a_core(processes: list[psutil.Process], seconds: float) -> list[float]:
    """The mean of each over that time."""
    before = [_spent(each) for each in processes]
    began = time.monotonic()
    time.sleep(seconds)
    taken = time.monotonic() - began
    return [(_spent(each) - then) / taken * 100 for each, then in zip(processes, before, strict=True)]


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(cloud: Cloud, seconds: float = 20.0) -> list[Verdict]:
    """Conductor and agent, over the same time."""
    with an_agent(cloud) as pid:
        conductor, agent = psutil.Process(cloud.pid), psutil.Process(pid)
        time.sleep(SETTLE_SECONDS)
        busy, agent_busy = percent_of_a_core([conductor, agent], seconds)
        return [
            limit("conductor, idle CPU", busy, 2, " % of a core"),
            limit("conductor, memory", conductor.memory_info().rss / MIB, 200, " MiB"),
            limit("agent, idle CPU", agent_busy, 1, " % of a core"),
            limit("agent, memory", agent.memory_info().rss / MIB, 60, " MiB"),
        ]


def main() -> None:
    with a_cloud() as cloud:
        print(table(measure(cloud, float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)))


if __name__ == "__main__":
    main()
