"""What every test shares. Loaded by pytest for tests/ and for each managed service's own tests."""

import pytest
from hypothesis import HealthCheck, settings

# A busy machine makes examples slow to build; that says nothing about the code under test.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("house")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
