"""Places to one service: of several processes each has its share, and some in any case."""

from __future__ import annotations

import pytest

from api.edge.bulkheads import LEAST_PLACES, Bulkheads
from crds.errors import TooManyRequests

pytestmark = pytest.mark.anyio


def places(walls: Bulkheads, principal: str) -> int:
    """How many that caller gets; all are given back."""
    count = 0
    try:
        while True:
            assert walls.enter("web", principal) is None
            count += 1
    except TooManyRequests:
        pass
    for _ in range(count):
        walls.leave("web", principal)
    return count


@pytest.mark.parametrize(("processes", "expected"), [(1, 128), (2, 64), (4, 32), (100, LEAST_PLACES), (1, 128)])
async def test_each_of_several_processes_has_its_share(processes: int, expected: int) -> None:
    walls = Bulkheads(per_service=256, per_principal=128)
    walls.share_with(processes)
    assert places(walls, "ann") == expected


async def test_who_is_under_way_stays_when_there_are_more_processes() -> None:
    walls = Bulkheads(per_service=256, per_principal=128)
    for _ in range(100):
        assert walls.enter("web", "ann") is None
    walls.share_with(4)
    with pytest.raises(TooManyRequests):
        walls.enter("web", "ann")
    for _ in range(69):
        walls.leave("web", "ann")
    assert walls.enter("web", "ann") is None
    walls.share_with(1)
    assert places(walls, "ann") == 128 - 32


async def test_few_places_are_not_made_fewer() -> None:
    walls = Bulkheads(per_service=3, per_principal=2)
    walls.share_with(8)
    assert places(walls, "ann") == 2
