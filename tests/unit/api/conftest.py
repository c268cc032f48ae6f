from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from unit.api.components import House, make_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    yield made
    await made.close()
