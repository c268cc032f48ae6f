"""Words that Buckets carry in their status: phases, condition types and reasons."""

from __future__ import annotations

from crds.term import Term


class BucketPhase(Term):
    """Where a Bucket stands (`status.phase`)."""

    PENDING = "Pending", "It was just created."
    READY = "Ready", "It can be used."
    DELETING = "Deleting", "It is being deleted, once it is empty."


class BucketCondition(Term):
    """What a condition tells about a Bucket."""

    KEYS_USABLE = (
        "KeysUsable",
        "The KMS keys that it names, and those that its objects were sealed with, can be used.",
    )
    DATA_INTACT = "DataIntact", "What the disk holds of its objects is what was written, as far as it was read again."
    EVENTS_DELIVERED = (
        "EventsDelivered",
        "The queues and topics that are told of events take them. Not told where none is.",
    )
    REPLICATED = "Replicated", "Every acknowledged write is on two workers at least. Not told where nothing follows."


class BucketReason(Term):
    """Why a condition of a Bucket is as it is."""

    KEYS_AVAILABLE = "KeysAvailable", "Every key can be used, or is another account's and exists."
    KEY_LOST = "KeyLost", "Keys are gone, and what they sealed cannot be read; the message names them."
    NO_DAMAGE_FOUND = "NoDamageFound", "Nothing that was read again was damaged."
    DATA_DAMAGED = "DataDamaged", "Stored bytes have changed or are gone; the message names objects they are of."
    COPIES_IN_SYNC = (
        "CopiesInSync",
        "Another worker has all of it; the message says how long one was missing.",
    )
    DESTINATIONS_ANSWER = (
        "DestinationsAnswer",
        "No queue or topic refused an event in the last hour, and none waits for one that does not answer.",
    )
    DESTINATION_REFUSES = (
        "DestinationRefuses",
        "A queue or topic does not take events, which wait, or refused some for ever; the message says why.",
    )
    COPY_AWAY = "CopyAway", "No other worker has all of it now: writes are acknowledged by one copy alone."
    SEVERAL_WRITERS = (
        "SeveralWriters",
        "More than one instance of storage-manager takes writes, and each waits only for copies that asked it.",
    )
    BUCKET_NOT_EMPTY = "BucketNotEmpty", "It is being deleted, and objects are left in it."
