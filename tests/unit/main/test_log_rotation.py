"""The conductor's log stays small, whoever writes to it, and on a disk that takes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from controller.kit.threads import Inline
from controller.kit.virtual import VirtualLoop
from controller.main import log_rotation
from controller.main.log_rotation import keep_small

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return ("asyncio", {"loop_factory": VirtualLoop})


async def test_it_is_bounded_and_goes_on_at_its_new_end(tmp_path: Path) -> None:
    file = tmp_path / "conductor.log"
    async with anyio.create_task_group() as tasks:
        with file.open("ab", buffering=0) as log:
            tasks.start_soon(lambda: keep_small(file, Inline(), limit=1000, keep=2))
            for _ in range(50):
                log.write(b"x" * 900 + b"\n")
                await anyio.sleep(5)
        tasks.cancel_scope.cancel()
    kept = sizes(tmp_path)
    assert sorted(kept) == ["conductor.log", "conductor.log.1", "conductor.log.2"]
    assert all(size < 3000 for size in kept.values())


def sizes(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_size for each in folder.iterdir()}


async def test_a_full_disk_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    def full(*_: object, **__: object) -> bool:
        nonlocal tries
        tries += 1
        raise OSError("no space left on device")

    monkeypatch.setattr(log_rotation, "rotate", full)
    with anyio.move_on_after(30):
        await keep_small(tmp_path / "conductor.log", Inline())
    assert tries > 3
