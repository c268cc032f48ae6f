"""`make bench-swarm`: how long people miss what breaks, on a real Swarm of three machines. Needs root; docs/swarm.md.

Side by side in one run: a plain Swarm with its own defaults, and the cloud as `make swarm-up` leaves it with two more
machines joined. The same service of three copies, the same health check. Seconds from the fault until all copies
serve again on machines that can be reached; for moved machines, until containers on all pairs of machines reach each
other. The median of ROUNDS (5); what a plain Swarm never heals is waited for once, PATIENCE (60) seconds.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

from swarm.breaking import FAULTS, Fault, Subject  # noqa: E402
from swarm.cluster import busybox_tar, cluster  # noqa: E402
from swarm.needs import why_not  # noqa: E402
from swarm.node import NotInTime  # noqa: E402
from swarm.ours import joined_cloud, our_subject, plain_subject  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))
PATIENCE = float(os.environ.get("PATIENCE", "60"))
SERVICES = int(os.environ.get("SERVICES", "200"))


@dataclass(frozen=True)
class Row:
    """One fault: seconds of every round on either side; None: not healed in time."""

    fault: Fault
    plain: Sequence[float | None]
    ours: Sequence[float | None]


def measure(subject: Subject, fault: Fault, rounds: int) -> list[float | None]:
    """Stops after the first round that is not healed: the next one would not be either."""
    seconds: list[float | None] = []
    for _ in range(rounds):
        try:
            seconds.append(fault.run(subject, PATIENCE))
        except NotInTime:
            seconds.append(None)
            break
        print(f"  {subject.name}: {fault.name}: {seconds[-1]:.2f} s", file=sys.stderr, flush=True)
    return seconds


def plain() -> dict[str, list[float | None]]:
    """Every fault in a Swarm of its own where it leaves damage behind; the others share one."""
    found: dict[str, list[float | None]] = {}
    shared = [each for each in FAULTS if not each.leaves_damage]
    with cluster(3) as made:
        image = made.push("busybox:1", busybox_tar(made.slot.folder))
        subject = plain_subject(made, image)
        for fault in shared:
            found[fault.name] = measure(subject, fault, 1 if fault.slow_without_us else ROUNDS)
    for fault in (each for each in FAULTS if each.leaves_damage):
        with cluster(3) as made:
            image = made.push("busybox:1", busybox_tar(made.slot.folder))
            found[fault.name] = measure(plain_subject(made, image), fault, 1)
    return found


def ours(folder: Path) -> tuple[dict[str, list[float | None]], dict[str, object]]:
    with joined_cloud(folder) as cloud:
        subject = our_subject(cloud)
        found = {fault.name: measure(subject, fault, ROUNDS) for fault in FAULTS}
        return found, many(cloud)


def many(cloud: object) -> dict[str, object]:
    """So many services at once, and what Docker was asked meanwhile and at rest."""
    from swarm.ours import many_services

    return many_services(cloud, SERVICES)  # type: ignore[arg-type]


def cell(seconds: Sequence[float | None]) -> str:
    if not seconds:
        return "-"
    known = [each for each in seconds if each is not None]
    if len(known) < len(seconds):
        return f"not in {PATIENCE:.0f} s"
    return f"{statistics.median(known):.2f} s" + (f" (max {max(known):.2f})" if len(known) > 1 else "")


def verdict(fault: Fault, seconds: Sequence[float | None]) -> str:
    known = [each for each in seconds if each is not None]
    if fault.target is None:
        return ""
    met = len(known) == len(seconds) and statistics.median(known) <= fault.target
    return f"≤ {fault.target:g} s: {'met' if met else 'MISSED'}"


def main() -> None:
    if reason := why_not():
        sys.exit(f"cannot run here: {reason}")
    began = time.monotonic()
    only_ours = "--ours" in sys.argv[1:]
    theirs: dict[str, list[float | None]] = {} if only_ours else plain()
    with tempfile.TemporaryDirectory() as folder:
        mine, crowd = ours(Path(folder))
    print("| until all serve again (median) | Swarm's defaults | aerekos | target |\n|---|---|---|---|")
    for fault in FAULTS:
        seen = mine[fault.name]
        print(f"| {fault.name} | {cell(theirs.get(fault.name, []))} | {cell(seen)} | {verdict(fault, seen)} |")
    print(f"\n{json.dumps(crowd, indent=2)}\n\n{os.cpu_count()} cores, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
