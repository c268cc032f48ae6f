"""Sealing, ciphertexts and states: promises that hold for every input."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.key_manager.ciphertext import BadCiphertext, KeyVersion, canonical, decrypt, encrypt, key_version_of
from services.key_manager.key_state import alias_resource_name, key_id, next_rotation, state_of
from services.key_manager.kinds import KEY, KeySpec
from services.key_manager.root_key import RootKeyCipher, Unsealable

UID = "0b0e8f0c-3f0e-4c59-9d6a-0c2d3f1d2a11"
MATERIAL = bytes(range(32))
contexts = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@given(plaintext=st.binary(max_size=4096), context=contexts, version=st.integers(1, 2**32 - 1))
def test_what_goes_in_comes_out(plaintext: bytes, context: dict[str, str], version: int) -> None:
    blob = encrypt(MATERIAL, KeyVersion(UID, version), plaintext, context)
    assert key_version_of(blob) == KeyVersion(UID, version)
    assert decrypt(MATERIAL, blob, dict(reversed(context.items()))) == plaintext


@given(data=st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    blob = bytearray(encrypt(MATERIAL, KeyVersion(UID, 1), b"secret", {"a": "b"}))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadCiphertext):
        decrypt(MATERIAL, bytes(blob), {"a": "b"})


@given(contexts, contexts)
def test_different_contexts_never_look_the_same(one: dict[str, str], other: dict[str, str]) -> None:
    assert (canonical(one) == canonical(other)) == (one == other)


@given(st.binary(max_size=200))
def test_nonsense_is_no_ciphertext(blob: bytes) -> None:
    with pytest.raises(BadCiphertext):
        decrypt(MATERIAL, blob, {})


def test_sealed_material_opens_only_where_it_belongs() -> None:
    seal = RootKeyCipher(bytes(32))
    sealed = seal.close(MATERIAL, UID, 1)
    assert seal.open(sealed, UID, 1) == MATERIAL
    for opener, uid, version in ((RootKeyCipher(b"x" * 32), UID, 1), (seal, str(uuid4()), 1), (seal, UID, 2)):
        with pytest.raises(Unsealable):
            opener.open(sealed, uid, version)


def test_states_follow_from_the_spec() -> None:
    key = KEY.new("payments")
    key.metadata.uid = UID
    assert (state_of(key, 0), state_of(key, 1), key_id(key)) == ("Creating", "Enabled", UID)
    key.spec = KeySpec(enabled=False, rotate_every=10)
    assert state_of(key, 1) == "Disabled"
    due = next_rotation(key, NOON)
    assert due is not None
    assert (due - NOON).days == 10
    key.spec.deletion_date = NOON
    assert (state_of(key, 1), next_rotation(key, NOON)) == ("PendingDeletion", None)


def test_alias_names_become_safe_and_stay_apart() -> None:
    names = [alias_resource_name(f"alias/{each}") for each in ("app", "App", "a/b", "a_b", "a-b", "_", "aws/s3")]
    assert len(set(names)) == len(names)
    assert names[0] == "app"
    assert all(KEY.key(name).name.replace("-", "").isalnum() for name in names)
