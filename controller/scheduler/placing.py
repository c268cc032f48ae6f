"""The decision: every worker is either chosen (best first) or refused with a reason.

Called by the service reconciler. Equal workers come in the order of their names, so that the same world
always gives the same answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from controller.scheduler.candidate import Candidate, Needs, Request
from controller.scheduler.filtering import FILTERS, SILENT, Objection
from controller.scheduler.scoring import score
from crds.quantity import format_bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why one worker was not chosen. `reason` joins everything that speaks against it."""

    worker: str
    reason: str
    first: Objection


@dataclass(frozen=True, slots=True)
class PlacementDecision:
    """`chosen` is ranked, best first; empty means unschedulable."""

    chosen: tuple[str, ...]
    refusals: tuple[Refusal, ...]

    @property
    def allowed(self) -> tuple[str, ...] | None:
        """Workers where copies may run, whether those workers are heard or not; None: anywhere.

        The runtime knows by itself whom it has lost. A wish that changed with every outage would move what need not
        move, and would forbid a machine that joins before its agent has spoken.
        """
        refused = [each for each in self.refusals if each.reason != SILENT]
        if not refused:
            return None
        return (*self.chosen, *(each.worker for each in self.refusals if each.reason == SILENT))


def place(request: Request, workers: Sequence[Candidate]) -> PlacementDecision:
    """Split the workers into ranked and refused. Never raises."""
    refusals = {each.name: found for each in workers if (found := _refusal(request, each))}
    fit = [each for each in workers if each.name not in refusals]
    ranked = sorted(fit, key=lambda each: (-score(request, each), each.name))
    return PlacementDecision(
        tuple(each.name for each in ranked),
        tuple(refusals[name] for name in sorted(refusals)),
    )


def _refusal(request: Request, worker: Candidate) -> Refusal | None:
    objections = [found for each in FILTERS if (found := each(request, worker))]
    if not objections:
        return None
    return Refusal(worker.name, "; ".join(each.reason for each in objections), objections[0])


def explain(request: Request, decision: PlacementDecision) -> str:
    """One sentence for people: `Unschedulable: default/db needs 4 CPU; 2 workers lack CPU, 1 is cordoned`."""
    if decision.chosen:
        return f"{request.name} fits on {', '.join(decision.chosen)}"
    if not decision.refusals:
        return f"Unschedulable: {request.name} needs a worker, and none has joined"
    counts = Counter((each.first.one, each.first.many) for each in decision.refusals)
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    words = [
        f"{count}{_workers(count) if first else ''} {one if count == 1 else many}"
        for first, ((one, many), count) in zip((True, *[False] * len(ordered)), ordered, strict=False)
    ]
    return f"Unschedulable: {request.name} needs {_needs(request)}; {', '.join(words)}"


def _workers(count: int) -> str:
    return " worker" if count == 1 else " workers"


def _needs(request: Request) -> str:
    amounts: Needs = request.needs
    parts = [f"{amounts.cpu:g} CPU"] if amounts.cpu else []
    parts += [f"{format_bytes(int(amounts.memory))} memory"] if amounts.memory else []
    parts += [f"{format_bytes(int(amounts.disk))} disk"] if amounts.disk else []
    parts += [f"{k}={v}" for k, v in sorted(request.labels.items())]
    parts += [f"its data on {' or '.join(sorted(request.data_on))}"] if request.data_on else []
    return ", ".join(parts) or "a worker"
