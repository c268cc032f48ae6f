"""Records of the store as lines: what a gateway keeps copies of.

One JSON value each. `["record", revision, group, plural, namespace, name, uid, verb, generation, body, previous,
written_at, written_by]`, `["endpoints", group, plural, namespace, name, uid, [[instance, address], ...]]`,
`["synced", revision]` when everything there was has been told, `["settings", {...}]` (settings.py), `["conductors",
{...}]` (conductors.py), `["alive"]` when nothing happened for a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from controller.runtime.endpoints import Endpoint
from controller.store.records import Record
from crds.kinds.access_key import ACCESS_KEY
from crds.kinds.client_credential import CLIENT_CREDENTIAL
from crds.kinds.iam import IAM_ROLE
from crds.kinds.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from crds.kinds.service import SERVICE
from crds.kinds.service_account import SERVICE_ACCOUNT
from crds.kinds.session import SESSION
from crds.kinds.temporary_credential import TEMPORARY_CREDENTIAL
from crds.kinds.user import CREDENTIAL, USER
from crds.kinds.worker import WORKER
from crds.meta import ObjectKey

KINDS = (
    USER,
    CREDENTIAL,
    SESSION,
    ACCESS_KEY,
    TEMPORARY_CREDENTIAL,
    IAM_ROLE,
    CLIENT_CREDENTIAL,
    SERVICE_ACCOUNT,
    SERVICE,
    WORKER,
    ROLE,
    CLUSTER_ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE_BINDING,
)
"""Everything that says who somebody is, what they may, and where services are. No Secret, no ConfigMap."""
COPIED = frozenset((kind.group, kind.plural) for kind in KINDS)
ALIVE = b'["alive"]\n'


def record_line(record: Record) -> bytes:
    """One record."""
    return orjson.dumps(
        [
            "record",
            record.revision,
            *record.key,
            record.uid,
            record.verb,
            record.generation,
            record.body.decode(),
            record.previous,
            record.written_at.isoformat(),
            record.written_by,
        ],
        option=orjson.OPT_APPEND_NEWLINE,
    )


def endpoints_line(key: ObjectKey, uid: str, ready: Sequence[Endpoint]) -> bytes:
    """Where the ready instances of one Service answer."""
    return orjson.dumps(["endpoints", *key, uid, [[*each] for each in ready]], option=orjson.OPT_APPEND_NEWLINE)


def synced_line(revision: int) -> bytes:
    """Everything up to that revision was told."""
    return orjson.dumps(["synced", revision], option=orjson.OPT_APPEND_NEWLINE)


def read_record(fields: list[Any]) -> Record:
    """What follows the word `record`."""
    revision, group, plural, namespace, name, uid, verb, generation, body, previous, at, by = fields
    key = ObjectKey(group, plural, namespace, name)
    moment = datetime.fromisoformat(at)
    return Record(revision, key, uid, verb, generation, body.encode(), previous, moment, by)
