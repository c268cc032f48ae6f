"""The test kit of managed services: one that runs in a test, beside a conductor made of memory.

On the test's own loop, with reconcilers, in virtual time (an hour takes no time, and nothing sleeps):

    @virtual_time
    async def test_words_are_counted() -> None:
        async with in_memory(MANIFEST) as notes:
            await notes.resources.create(NOTE, NOTE.new("first", spec=NoteSpec(text="two words")))
            await notes.advance(1)
            assert (await notes.client().get("/notes/first")).json()["words"] == 2

On a loopback port, in a thread of its own, for clients that know nothing of all this, such as boto3:

    with serving("notes_manager", secrets={"root-key": bytes(32)}) as harness:
        kms = harness.boto3_client("kms")

As processes, with everything real, in a few seconds:

    with cloud(services_path=FOLDER) as running:
        running.aerekos("get", "notes")

In the first two, `conductor` knows users and answers reviews (`refuse`, `judge`), `resources` are the resources.
"""

from services.sdk.testing.cloud import RunningCloud, cloud
from services.sdk.testing.conductor import FakeConductor, User, created, fake_context
from services.sdk.testing.harness import ServiceHarness, client_over, serving
from services.sdk.testing.memory_resources import MemoryResources, watched
from services.sdk.testing.virtual import MemoryService, in_memory, virtual_time

__all__ = [
    "FakeConductor",
    "MemoryResources",
    "MemoryService",
    "RunningCloud",
    "ServiceHarness",
    "User",
    "client_over",
    "cloud",
    "created",
    "fake_context",
    "in_memory",
    "serving",
    "virtual_time",
    "watched",
]
