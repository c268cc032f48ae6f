"""Notes count their words, are found by whoever may list them, and are counted."""

from __future__ import annotations

from services.notes_manager.kinds import NOTE, NoteSpec
from services.notes_manager.manifest import MANIFEST
from services.sdk.testing import User, in_memory, virtual_time


@virtual_time
async def test_words_are_counted_again_when_the_text_changes() -> None:
    async with in_memory(MANIFEST) as notes:
        await notes.resources.create(NOTE, NOTE.new("first", spec=NoteSpec(text="two words")))
        await notes.advance(1)
        assert (await notes.resources.get(NOTE, "first")).status.words == 2
        await notes.resources.patch(NOTE, "first", {"spec": {"text": "now three words"}})
        await notes.advance(1)
        assert (await notes.resources.get(NOTE, "first")).status.words == 3


@virtual_time
async def test_notes_are_found_by_whoever_may_list_them() -> None:
    async with in_memory(MANIFEST) as notes, notes.client() as client, notes.probe() as probe:
        await notes.resources.create(NOTE, NOTE.new("first", spec=NoteSpec(text="buy milk")))
        await notes.resources.create(NOTE, NOTE.new("second", spec=NoteSpec(text="sell milk")))
        await notes.advance(1)
        assert (await client.get("/search?contains=buy")).json() == {"notes": ["first"]}
        assert (await client.get("/search")).json() == {"notes": ["first", "second"]}
        notes.conductor.refuse("eve", "list")
        async with notes.client(User("eve")) as eve:
            assert (await eve.get("/search")).status_code == 403
        assert "aerekos_notes_searches_total 2.0" in (await probe.get("/metrics")).text
        assert (await probe.get("/ready")).json() == {"ready": True}
