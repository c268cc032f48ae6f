"""What strangers, and names that are none, learn and leave behind: nothing. In virtual time."""

from __future__ import annotations

import pytest

from services.queue_manager.tests.in_memory import queues_in_memory
from services.sdk.aws import resource_names
from services.sdk.testing import virtual_time


@pytest.mark.parametrize("operation", ["GetQueueUrl", "CreateQueue"])
@virtual_time
async def test_a_long_name_is_refused_before_anything_is_asked(operation: str) -> None:
    async with queues_in_memory() as queues:
        queues.service.conductor.reviews.clear()
        _, told = await queues.ask(operation, QueueName="x" * 500_000)
        assert told["__type"] == "InvalidParameterValue" and not queues.service.conductor.reviews


def test_long_names_are_not_kept() -> None:
    before = resource_names._kept.cache_info().currsize
    names = {resource_names.resource_name("É" * 500_000 + str(each), "us-east-2") for each in range(3)}
    assert len(names) == 3 and max(map(len, names)) < 64
    assert resource_names._kept.cache_info().currsize == before
