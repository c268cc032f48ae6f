"""`make bench`: everything measured on this machine, as ratios within one run, in one table.

Exit code 0 unless something breaks: a machine that is slow or busy is no fault of the code. `--fast` measures for a
shorter time. The parts can also be run alone: store.py, small_objects.py, asking.py, aws.py, queues.py, objects.py,
gateway.py, watching.py, idle.py, listing.py, etcd.py, healing.py, managed.py, page.py, schedules.py,
log_lines.py, agents.py.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import agents
import asking
import aws
import etcd
import gateway
import healing
import idle
import listing
import log_lines
import managed
import objects
import page
import psutil
import queues
import schedules
import small_objects
import store
import watching
from cloud import a_cloud
from verdicts import Verdict, table


def measure(patience: float) -> list[Verdict]:
    """All verdicts. `patience` stretches every measurement; 1 takes about six minutes."""
    verdicts = store.measure(2 * patience)
    verdicts += small_objects.measure(3 * patience)
    with a_cloud() as cloud:
        verdicts += idle.measure(cloud, 20 * patience)
        verdicts += healing.measure(cloud)
        verdicts += asking.measure(cloud, 4 * patience)
        verdicts += aws.measure(cloud, 3 * patience)
        verdicts += queues.measure(cloud, 3 * patience)
        verdicts += objects.measure(cloud, 1.5 * patience)
        verdicts += watching.measure(cloud, 10 * patience)
        verdicts += etcd.measure(cloud, 8 * patience)
        verdicts += listing.measure(cloud)
    verdicts += gateway.measure(4 * patience)
    verdicts += managed.measure()
    verdicts += page.measure()
    verdicts += schedules.measure()
    verdicts += log_lines.measure()
    with a_cloud() as cloud:
        verdicts += agents.measure(cloud, 60 * patience)
    return verdicts


def main() -> None:
    began, before = time.monotonic(), psutil.cpu_times()
    verdicts = measure(0.25 if "--fast" in sys.argv[1:] else 1.0)
    print(table(verdicts))
    seconds = time.monotonic() - began
    print(f"\n{os.cpu_count()} cores, {seconds:.0f} s; {stolen(before):.0f} % of the work time was stolen")


def stolen(since: Any) -> float:
    """Percent of the time this machine wanted to work that its host gave to others; 0 where nobody counts it."""
    now = psutil.cpu_times()
    theirs = getattr(now, "steal", 0.0) - getattr(since, "steal", 0.0)
    ours = sum(getattr(now, part) - getattr(since, part) for part in ("user", "system"))
    return 100 * theirs / (ours + theirs) if theirs else 0.0


if __name__ == "__main__":
    main()
