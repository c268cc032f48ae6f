"""CPU of one signed call in the gateway's and in the services' own code: no TLS, no system calls, no client.

`python bench/signed_calls.py [rounds] [TREE]`: of this tree, and of another one (a folder with a checkout). Each part
runs in a process of its own (bench/call_costs.py); both trees are asked in turn, batch by batch, on the same core, so
that whoever else uses the machine takes as much from both. Told are the CPU of the best batch and of the one in the
middle, and the middle of the ratios of neighbours. One process may be some percent slower than another one of the
same tree: what is less than that needs several runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
ROUNDS, UNCOUNTED = 300, 10


class Measured:
    """A process that measures `part` with the code of that tree."""

    def __init__(self, tree: Path, part: str) -> None:
        env = {**os.environ, "PYTHONPATH": str(tree)}
        command = [sys.executable, str(HERE / "call_costs.py"), part]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=env, cwd=tree, text=True, stdin=pipe, stdout=pipe)
        os.sched_setaffinity(self.process.pid, {max(os.sched_getaffinity(0))})

    def next_line(self) -> str:
        """What it tells. Raises RuntimeError when it ends without a word."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("@"):
                return line[1:].strip()
        raise RuntimeError("it ended; what it said stands above")

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def batch(self) -> float:
        """Microseconds of CPU of one call, in one more batch."""
        self.say("go")
        return float(self.next_line())


@contextmanager
def measured(trees: list[Path], part: str) -> Iterator[list[Measured]]:
    """A process for each tree, ended afterwards."""
    with ExitStack() as stack:
        started = [Measured(tree, part) for tree in trees]
        for each in started:
            stack.callback(each.process.wait)
            stack.callback(each.process.kill)
        yield started


def in_turn(sides: list[Measured], rounds: int) -> list[list[float]]:
    """The batches of each, the first ones uncounted; who begins changes from round to round."""
    batches: list[list[float]] = [[] for _ in sides]
    for number in range(rounds + UNCOUNTED):
        pairs = list(zip(sides, batches, strict=True))
        for side, mine in pairs if number % 2 else reversed(pairs):
            cost = side.batch()
            if number >= UNCOUNTED:
                mine.append(cost)
    return batches


def line(what: str, batches: list[list[float]]) -> str:
    """Of one kind of call."""
    costs = [f"best {min(each):6.1f} us, middle {median(each):6.1f} us" for each in batches]
    if len(batches) > 1:
        costs.append(f"ratio {median(ours / theirs for ours, theirs in zip(*batches, strict=True)):.3f}")
    return f"{what:36} {' | '.join(costs)}"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    trees = [HERE.parent, *(Path(each).resolve() for each in sys.argv[2:3])]
    for part in ("gateway", "services"):
        with measured(trees, part) as sides:
            while "end" not in (names := [each.next_line() for each in sides]):
                print(line(names[0], in_turn(sides, rounds)), flush=True)
                for each in sides:
                    each.say("next")


if __name__ == "__main__":
    main()
