"""`make bench-swarm`: how long people miss what breaks, on a real Swarm of three machines. Needs root; docs/swarm.md.

Side by side in one run: a plain Swarm with its own defaults, and the cloud as `make swarm-up` leaves it with two more
machines joined. The same service of three copies, the same health check. Seconds from the fault until all copies
serve again on machines that can be reached; for moved machines, until containers on all pairs of machines reach each
other. The median of ROUNDS (5); what a plain Swarm never heals is waited for once, PATIENCE (60) seconds. ONLY: words
of the faults' names, separated by commas.
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

from swarm.breaking import FAULTS, Disturbed, Fault, Subject  # noqa: E402
from swarm.cluster import busybox_tar, cluster  # noqa: E402
from swarm.needs import why_not  # noqa: E402
from swarm.node import NotInTime  # noqa: E402
from swarm.ours import joined_cloud, many_services, our_subject, plain_subject  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))
PATIENCE = float(os.environ.get("PATIENCE", "60"))
SERVICES = int(os.environ.get("SERVICES", "200"))
ONLY = os.environ.get("ONLY", "").split(",")
CHOSEN = [each for each in FAULTS if any(words in each.name for words in ONLY)]


@dataclass(frozen=True)
class Round:
    """`seconds` until all served again, None when they did not in time; `disturbed`: something else was restarted."""

    seconds: float | None
    disturbed: bool = False


def measure(subject: Subject, fault: Fault, rounds: int) -> list[Round]:
    """Stops after the first round that is not healed: the next one would not be either."""
    seen: list[Round] = []
    while len(seen) < rounds and (not seen or seen[-1].seconds is not None):
        try:
            seen.append(Round(fault.run(subject, PATIENCE)))
        except Disturbed as but:
            seen.append(Round(but.seconds, disturbed=True))
        except NotInTime:
            seen.append(Round(None))
        print(f"  {subject.name}: {fault.name}: {seen[-1]}", file=sys.stderr, flush=True)
    return seen


def plain() -> dict[str, list[Round]]:
    """Every fault in a Swarm of its own where it leaves damage behind; the others share one."""
    found: dict[str, list[Round]] = {}
    shared = [each for each in CHOSEN if not each.leaves_damage and not each.ours_only]
    with cluster(3) as made:
        image = made.push("busybox:1", busybox_tar(made.slot.folder))
        subject = plain_subject(made, image)
        for fault in shared:
            found[fault.name] = measure(subject, fault, 1 if fault.slow_without_us else ROUNDS)
    for fault in (each for each in CHOSEN if each.leaves_damage):
        with cluster(3) as made:
            image = made.push("busybox:1", busybox_tar(made.slot.folder))
            found[fault.name] = measure(plain_subject(made, image), fault, 1)
    return found


def ours(folder: Path) -> tuple[dict[str, list[Round]], dict[str, object]]:
    with joined_cloud(folder) as cloud:
        subject = our_subject(cloud)
        found = {fault.name: measure(subject, fault, ROUNDS) for fault in CHOSEN}
        started = {
            "deploySeconds": round(cloud.seconds, 1),
            "joinSeconds": {k: round(v, 1) for k, v in cloud.joined.items()},
        }
        return found, started | many_services(cloud, SERVICES)


def cell(rounds: Sequence[Round]) -> str:
    if not rounds:
        return "-"
    known = [each.seconds for each in rounds if each.seconds is not None]
    if len(known) < len(rounds):
        return f"not in {PATIENCE:.0f} s"
    most = f" (max {max(known):.2f})" if len(known) > 1 else ""
    disturbed = sum(each.disturbed for each in rounds)
    others = f", others disturbed in {disturbed} of {len(rounds)}" if disturbed else ""
    return f"{statistics.median(known):.2f} s{most}{others}"


def verdict(fault: Fault, rounds: Sequence[Round]) -> str:
    if fault.target is None or not rounds:
        return ""
    known = [each.seconds for each in rounds if each.seconds is not None]
    met = len(known) == len(rounds) and statistics.median(known) <= fault.target
    met = met and not any(each.disturbed for each in rounds)
    return f"≤ {fault.target:g} s: {'met' if met else 'MISSED'}"


def main() -> None:
    if reason := why_not():
        sys.exit(f"cannot run here: {reason}")
    began = time.monotonic()
    only_ours = "--ours" in sys.argv[1:]
    theirs: dict[str, list[Round]] = {} if only_ours else plain()
    with tempfile.TemporaryDirectory() as folder:
        mine, crowd = ours(Path(folder))
    print("| until all serve again (median) | Swarm's defaults | aerekos | target |\n|---|---|---|---|")
    for fault in CHOSEN:
        seen = mine[fault.name]
        print(f"| {fault.name} | {cell(theirs.get(fault.name, []))} | {cell(seen)} | {verdict(fault, seen)} |")
    print(f"\n{json.dumps(crowd, indent=2)}\n\n{os.cpu_count()} cores, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
