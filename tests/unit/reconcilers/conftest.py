import pytest

from controller.kit.virtual import VirtualLoop


@pytest.fixture
def anyio_backend():
    return ("asyncio", {"loop_factory": VirtualLoop})
