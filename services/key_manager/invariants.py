"""Invariants of keys, aliases and material, whoever writes: what protects data outlives it.

- A Key that has material goes by `spec.deletionDate` alone, 7 to 30 days ahead, taken back at any time before; then
  key-manager deletes it, if nothing needs it any more. DELETE is refused: a marked resource cannot be unmarked, so a
  deletion that began could not be undone, and `kubectl delete` would wait for weeks.
- A Key that a resource names is refused by that name. `alias/aws/*` and the keys behind it belong to the platform.
- Material is written and removed by key-manager alone, and stays as long as its Key. It changes in one way: the same
  is sealed under a newer generation of the root key; never under an older one, by an instance that is about to go.
  Imported material may be removed besides, and the same imported again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from crds.invariants import CONDUCTOR, Body, Transition, changed, on, spec_of
from services.key_manager.root_key import Unsealable, generation_of_text
from services.sdk.aws.accounts import account_of

KEY_MANAGER = "system:service:key-manager"
RESERVED = "alias/aws/"
SHORTEST, LONGEST = timedelta(days=7), timedelta(days=30)
# Clocks of two machines, and the time between reckoning a date and sending it.
TOLERANCE = timedelta(minutes=5)
_ARN = re.compile(r"arn:aws:kms:[a-z0-9-]*:([0-9]{12}):(?:key/)?(.+)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMED = 3
# What may not change, and what a Key is that does not say it: one of a version before.
_LASTING = {"usage": "ENCRYPT_DECRYPT", "keySpec": "SYMMETRIC_DEFAULT", "origin": "AWS_KMS"}
_OF_FAMILY = {"multiRegion": False, "region": "", "replicaOf": "", "materialOf": ""}


@on("create", "update")
def keeps_its_window(transition: Transition) -> None:
    """A new deletion date is 7 to 30 days ahead; of a key in use there is none."""
    wanted = spec_of(transition.after).get("deletionDate")
    if wanted is None or not changed(transition, "deletionDate"):
        return
    date, now = datetime.fromisoformat(wanted), transition.now
    if not now + SHORTEST - TOLERANCE <= date <= now + LONGEST + TOLERANCE:
        text = f"must be 7 to 30 days ahead, {_day(now + SHORTEST)} to {_day(now + LONGEST)}; {wanted} is not"
        raise transition.invalid("spec.deletionDate", text)
    _refuse_in_use(transition, transition.after)


@on("create")
def is_no_replica_of_another_s(transition: Transition) -> None:
    """Who could name a key's material in a Key of their own could use it without a right on that key."""
    spec = spec_of(transition.after)
    if transition.by != KEY_MANAGER and (spec.get("materialOf") or spec.get("replicaOf")):
        raise transition.forbidden("replicas are made by key-manager alone; use: aws kms replicate-key")


@on("update")
def keeps_its_nature(transition: Transition) -> None:
    """What a key is for stays; the platform's own keys stay as they are."""
    before, after = spec_of(transition.before), spec_of(transition.after)
    for name, unsaid in {**_LASTING, **_OF_FAMILY}.items():
        if before.get(name, unsaid) != after.get(name, unsaid):
            raise transition.invalid(f"spec.{name}", "cannot be changed; make another key")
    alias = _platform_alias(transition)
    if before.get("primaryRegion", "") != after.get("primaryRegion", "") and not after.get("multiRegion"):
        raise transition.invalid("spec.primaryRegion", "is for multi-Region keys alone")
    if alias is None or before == after:
        return
    if transition.by != KEY_MANAGER or any(changed(transition, each) for each in ("enabled", "deletionDate")):
        raise transition.forbidden(f"{alias} is the platform's own key; nobody changes, disables or deletes it")


@on("delete")
def outlives_its_data(transition: Transition) -> None:
    """Keys go by their date, through key-manager; at once only where they never had material."""
    if (alias := _platform_alias(transition)) is not None:
        if not transition.cascade:
            raise transition.forbidden(f"{alias} is the platform's own key; nobody changes, disables or deletes it")
    elif _has_material(transition) and not _is_due(transition):
        raise transition.conflict("KeyProtectsData", _how_to_delete(transition))
    _refuse_in_use(transition, transition.before)


@on("create", "update", "delete", exclusive=True)
def keeps_alias_names(transition: Transition) -> None:
    """One alias of a name in a namespace; `alias/aws/` is key-manager's."""
    name = spec_of(transition.before or transition.after).get("aliasName", "")
    if transition.operation == "update" and changed(transition, "aliasName"):
        raise transition.invalid("spec.aliasName", "cannot be changed; make another alias")
    if transition.operation == "update" and not changed(transition, "key"):
        return
    if name.startswith(RESERVED) and transition.by != KEY_MANAGER and not transition.cascade:
        raise transition.forbidden(f"{RESERVED} is reserved for the platform's own keys")
    if transition.operation == "delete" and not transition.together:
        _refuse_alias_in_use(transition, name)
    elif transition.operation == "create":
        _refuse_taken(transition, name)


@on("update")
def keeps_what_it_grants(transition: Transition) -> None:
    """A grant is what it was when it was given; whoever wants another one makes it and takes this back."""
    if spec_of(transition.before) != spec_of(transition.after):
        raise transition.invalid("spec", "cannot be changed; make another grant and delete this one")


@on("create", "update", "delete")
def is_written_by_key_manager(transition: Transition) -> None:
    """Material is made once, re-sealed under newer root keys, and goes when its Key has gone."""
    by_us = transition.by in (KEY_MANAGER, CONDUCTOR)
    if not by_us or (transition.operation == "create" and transition.by != KEY_MANAGER):
        raise transition.forbidden("key material is written by key-manager alone")
    if transition.operation == "update" and spec_of(transition.before) != spec_of(transition.after):
        _refuse_all_but_resealing(transition)
    if transition.operation == "create":
        _refuse_old_root_keys(transition)
    if transition.operation == "delete" and not transition.together:
        uid = spec_of(transition.before).get("keyUid")
        keys = transition.view.list("keys", transition.key.namespace)
        if any(each["metadata"].get("uid") == uid for each in keys):
            raise transition.conflict("KeyExists", "its key still exists")


def names_of(key: Body, aliases: Iterable[Body]) -> set[str]:
    """Everything that key may be called in its namespace: name, uid, aliases; ARNs without their beginning."""
    meta = key["metadata"]
    pointing = [spec_of(each)["aliasName"] for each in aliases if spec_of(each).get("key") == meta["name"]]
    return {name for name in (meta["name"], meta.get("uid"), *pointing) if name}


def plain_name(name: str, namespace: str) -> str:
    """A KeyId without what an ARN says before it; empty for an ARN of another account."""
    parts = _ARN.fullmatch(name)
    if parts is None:
        return name
    return parts[2] if parts[1] == account_of(namespace) else ""


def _refuse_all_but_resealing(transition: Transition) -> None:
    before, after = dict(spec_of(transition.before)), dict(spec_of(transition.after))
    if before.get("imported"):
        _refuse_all_but_importing(transition, before, after)
        return
    old, new = before.pop("sealed", ""), after.pop("sealed", "")
    if before != after or _generation(new) <= _generation(old):
        raise transition.invalid("spec", "key material cannot be changed, only sealed under a newer root key")


def _refuse_all_but_importing(transition: Transition, before: Body, after: Body) -> None:
    """Imported material is removed, expires and comes again; what it is (`materialId`) stays. It begins to be used
    once, and is not sealed under an older root key.
    """
    if any(before.get(name) != after.get(name) for name in ("keyUid", "version", "materialId", "imported")):
        raise transition.invalid("spec", "imported key material can be removed and imported again, not exchanged")
    if after.get("pending") and not before.get("pending"):
        raise transition.invalid("spec.pending", "material that was in use stays what its ciphertexts need")
    if _generation(after.get("sealed", "")) < _generation(before.get("sealed", "")):
        raise transition.invalid("spec.sealed", "key material is not sealed under an older root key")


def _refuse_old_root_keys(transition: Transition) -> None:
    """An older generation may be forgotten at any moment: nothing new may come to need it."""
    known = (_generation(spec_of(each)["sealed"]) for each in transition.view.list("keymaterials"))
    if _generation(spec_of(transition.after).get("sealed", "")) < max(known, default=-1):
        raise transition.conflict("OldRootKey", "the root key has a newer generation; this instance does not know it")


def _generation(sealed: str) -> int:
    try:
        return generation_of_text(sealed)
    except Unsealable:
        return -1


def _refuse_in_use(transition: Transition, key: Body) -> None:
    namespace = transition.key.namespace
    replicas = _replicas(transition, str(key["metadata"].get("uid")))
    if replicas and not transition.together:
        text = f"its material is that of {', '.join(replicas)}; delete these replicas first"
        raise transition.conflict("KeyInUse", text)
    names = names_of(key, transition.view.list("keyaliases", namespace))
    users = _users(transition, names)
    if users:
        raise transition.conflict("KeyInUse", f"in use by {users}; give them another key and move their data first")


def _refuse_alias_in_use(transition: Transition, name: str) -> None:
    users = _users(transition, {name})
    if users:
        raise transition.conflict("KeyInUse", f"{name} is in use by {users}; give them another key first")
    key = spec_of(transition.before).get("key")
    keys = transition.view.list("keys", transition.key.namespace)
    # Without its alias, a key of the platform's would look like anybody's.
    if name.startswith(RESERVED) and any(each["metadata"]["name"] == key for each in keys):
        raise transition.conflict("KeyExists", f"{name} goes after its key")


def _refuse_taken(transition: Transition, name: str) -> None:
    for other in transition.view.list("keyaliases", transition.key.namespace):
        if spec_of(other).get("aliasName") == name:
            raise transition.conflict("AliasTaken", f"{name} is the alias {other['metadata']['name']} already")


def _users(transition: Transition, names: set[str]) -> str:
    """The first resources that need one of those names; empty when none does, or all go together."""
    if transition.together:
        return ""
    namespace = transition.key.namespace
    found = (
        str(each)
        for each in transition.view.referrers("keys", namespace)
        if plain_name(each.name, namespace) in names
    )
    return ", ".join(islice(dict.fromkeys(found), _NAMED))


def _replicas(transition: Transition, uid: str) -> list[str]:
    """The first keys that have that key's material."""
    keys = transition.view.list("keys", transition.key.namespace)
    found = (each["metadata"]["name"] for each in keys if spec_of(each).get("materialOf") == uid)
    return list(islice(found, _NAMED))


def _platform_alias(transition: Transition) -> str | None:
    for each in transition.view.list("keyaliases", transition.key.namespace):
        spec = spec_of(each)
        if spec.get("key") == transition.key.name and str(spec.get("aliasName")).startswith(RESERVED):
            return str(spec["aliasName"])
    return None


def _has_material(transition: Transition) -> bool:
    uid = transition.before["metadata"].get("uid")
    materials = transition.view.list("keymaterials", transition.key.namespace)
    return any(spec_of(each).get("keyUid") == uid for each in materials)


def _is_due(transition: Transition) -> bool:
    date = spec_of(transition.before).get("deletionDate")
    return transition.by == KEY_MANAGER and date is not None and datetime.fromisoformat(date) <= transition.now


def _how_to_delete(transition: Transition) -> str:
    name, namespace = transition.key.name, transition.key.namespace
    where = f"kubectl patch key {name} -n {namespace} --type=merge -p "
    if (date := spec_of(transition.before).get("deletionDate")) is not None:
        undo = where + '\'{"spec":{"deletionDate":null}}\''
        return f"it is deleted on {date} by key-manager, and cannot be sooner; to keep it: {undo}"
    patch: Any = f'{{"spec":{{"deletionDate":"{_day(transition.now + SHORTEST + TOLERANCE)}"}}}}'
    return (
        "it may protect data, so it is deleted by a date 7 to 30 days ahead: "
        f"aerekos delete key {name} -n {namespace} --after 7 or: {where}'{patch}' "
        f"or: aws kms schedule-key-deletion --pending-window-in-days 7 --key-id {_key_id(transition)}"
    )


def _key_id(transition: Transition) -> str:
    """As KMS calls it: keys that KMS made are named by a uuid, the others have only their uid."""
    name = transition.key.name
    return name if _UUID.fullmatch(name) else str(transition.before["metadata"].get("uid"))


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
