"""What a machine said of its overlay network is true only as long as the machine is heard."""

from __future__ import annotations

import anyio
import pytest

from controller.kit.leases import Leases
from controller.reconcilers.worker import WorkerReconciler
from crds.kinds.worker import WORKER
from crds.meta import Condition, condition

from .houses import world

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("status", ["True", "False"])
async def test_a_silent_machine_s_network_is_unknown(status: str) -> None:
    here, worker = world(), WORKER.new("oak")
    leases = Leases(here.clock)
    reconciler = WorkerReconciler(leases)
    told = Condition(type="OverlayReachable", status=status, reason="X", message="2 other machines answer")
    worker.status.conditions = [told]
    leases.beat("oak")
    await reconciler.reconcile(worker, here)
    assert condition(worker.status.conditions, "OverlayReachable") == told
    await anyio.sleep(10)
    await reconciler.reconcile(worker, here)
    found = condition(worker.status.conditions, "OverlayReachable")
    assert found is not None
    assert (found.status, found.message) == ("Unknown", "no heartbeat from oak; before: 2 other machines answer")
    before = worker.model_copy(deep=True)
    await anyio.sleep(60)
    await reconciler.reconcile(worker, here)
    assert worker == before


async def test_a_machine_without_an_overlay_gets_no_word_about_it() -> None:
    here, worker = world(), WORKER.new("oak")
    leases = Leases(here.clock)
    leases.beat("oak")
    await anyio.sleep(10)
    await WorkerReconciler(leases).reconcile(worker, here)
    assert condition(worker.status.conditions, "OverlayReachable") is None
