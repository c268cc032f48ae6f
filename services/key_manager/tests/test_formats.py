"""Keys, material and ciphertexts as versions before wrote them: what was sealed then is opened now."""

from __future__ import annotations

import base64
from typing import Any

from services.key_manager.ciphertext import decrypt, key_version_of
from services.key_manager.key_state import material_id, state_of
from services.key_manager.kinds import KEY, KEY_MATERIAL
from services.key_manager.root_key import RootKeyCipher

ROOT = bytes(range(32))
UID = "0b0e8f0c-3f0e-4c59-9d6a-0c2d3f1d2a11"
# Written by version 0.2.0; never changed.
OLD_KEY: dict[str, Any] = {
    "metadata": {"name": "payments", "namespace": "default", "uid": UID},
    "spec": {"description": "orders", "usage": "ENCRYPT_DECRYPT", "enabled": True, "rotateEvery": 365},
    "status": {"keyId": UID, "keyState": "Enabled", "currentVersion": 1, "aliases": ["alias/payments"]},
}
OLD_MATERIAL: dict[str, Any] = {
    "metadata": {"name": f"{UID}-v1", "namespace": "default", "uid": "5f0a7fcc-0000-4000-8000-000000000000"},
    "spec": {
        "keyUid": UID,
        "version": 1,
        "sealed": "AgAAAABGQblAM6BLN4GXYtsbi4wu5yv1kx1ye11l/PJYAwGxhhiIYrt1++jAzT63r5vENUHOqKwHikE0O+WsVX4=",
    },
}
OLD_CIPHERTEXT = (
    "AQsOjww/DkxZnWoMLT8dKhEAAAABWIIXWcOdW9MVPDb6pOXhGtTq3wT6qut+qU1sh240lWNZBW/wDr0mEi8sL4fiZkUcpgvXOGzqKk1u/fU="
)


def test_a_key_of_before_is_a_symmetric_key_made_here() -> None:
    key = KEY.decode(OLD_KEY)
    assert (key.spec.key_spec, key.spec.usage, key.spec.origin) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS")
    assert (key.spec.policy, key.spec.tags, state_of(key, 1)) == ("", {}, "Enabled")


def test_material_and_ciphertexts_of_before_open() -> None:
    material = KEY_MATERIAL.decode(OLD_MATERIAL)
    assert (material.spec.imported, material.spec.removed, material.spec.pending) == (False, False, False)
    assert len(material_id(material)) == 64
    opened = RootKeyCipher(ROOT).open(base64.b64decode(material.spec.sealed), UID, 1)
    blob = base64.b64decode(OLD_CIPHERTEXT)
    assert key_version_of(blob).uid == UID
    assert decrypt(opened, blob, {"tenant": "a"}) == b"sealed by 0.2.0"
