"""Scores: how good a worker is among those that nothing speaks against. Higher is better.

Each part lies between 0 and 1; the weights below say what matters more.
"""

from __future__ import annotations

from controller.scheduler.candidate import Candidate, Request
from controller.scheduler.filtering import tolerated

FREE_WEIGHT = 1.0
# Two copies on one machine die together, so spreading weighs more than any difference in room.
SPREAD_WEIGHT = 4.0
AVOIDED_WEIGHT = 8.0


def score(request: Request, worker: Candidate) -> float:
    """Free share after placement, less for each own replica already there, much less when better avoided."""
    free = FREE_WEIGHT * _free_share(request, worker)
    spread = SPREAD_WEIGHT * worker.replicas
    return free - spread - AVOIDED_WEIGHT * _avoided(request, worker)


def _free_share(request: Request, worker: Candidate) -> float:
    needs, free, capacity = request.needs, worker.free, worker.capacity
    shares = (
        _share(free.cpu - needs.cpu, capacity.cpu),
        _share(free.memory - needs.memory, capacity.memory),
        _share(free.disk - needs.disk, capacity.disk),
    )
    return sum(shares) / len(shares)


def _share(left: float, capacity: float) -> float:
    return min(max(left / capacity, 0.0), 1.0) if capacity > 0 else 0.0


def _avoided(request: Request, worker: Candidate) -> int:
    soft = (each for each in worker.taints if each.effect == "PreferNoSchedule")
    return sum(not tolerated(each, request.tolerations) for each in soft)
