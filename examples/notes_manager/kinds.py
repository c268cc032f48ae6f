"""The kind of this service: a note, and how long it is."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status


class NoteSpec(Spec):
    """`text`: what is to be remembered."""

    text: Annotated[str, Field(max_length=65536)] = ""


class NoteStatus(Status):
    """`words`: how many the text has."""

    words: int = 0


class Note(Resource[NoteSpec, NoteStatus]):
    spec: NoteSpec = Field(default_factory=NoteSpec)
    status: NoteStatus = Field(default_factory=NoteStatus)


NOTE = Kind(
    "Note",
    "notes",
    Note,
    singular="note",
    columns=(Column("Words", "status.words", "integer"), Column("Text", "spec.text", priority=1)),
    description="Something to be remembered.",
)
