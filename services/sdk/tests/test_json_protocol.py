"""json-1.1 by KMS's own shapes: types, constraints, round trips with botocore on the other side."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sdk.aws.errors import AwsError
from services.sdk.aws.json_protocol import read_json, write_json
from services.sdk.aws.model import load_model, snake_case

KMS = load_model("kms")


def read(shape: str, document: Any) -> dict[str, Any]:
    return read_json(KMS, shape, json.dumps(document).encode())


@given(plaintext=st.binary(min_size=1, max_size=4096), context=st.dictionaries(st.text(), st.text(), max_size=3))
def test_requests_are_read_as_they_were_meant(plaintext: bytes, context: dict[str, str]) -> None:
    document = {
        "KeyId": "k",
        "Plaintext": base64.b64encode(plaintext).decode(),
        "EncryptionContext": context,
        "NotYetInvented": 1,
    }
    wanted = {"KeyId": "k", "Plaintext": plaintext, "EncryptionContext": context}
    assert read("EncryptRequest", document) == wanted


@pytest.mark.parametrize(
    ("shape", "document", "code"),
    [
        ("EncryptRequest", {"KeyId": 3, "Plaintext": "eA=="}, "SerializationException"),
        ("EncryptRequest", {"KeyId": "k", "Plaintext": "%"}, "SerializationException"),
        ("EncryptRequest", [], "SerializationException"),
        ("EncryptRequest", {"KeyId": "k"}, "ValidationException"),
        ("EncryptRequest", {"KeyId": "", "Plaintext": "eA=="}, "ValidationException"),
        ("ListKeysRequest", {"Limit": 0}, "ValidationException"),
        ("ListKeysRequest", {"Limit": True}, "SerializationException"),
        ("GenerateDataKeyRequest", {"KeyId": "k", "KeySpec": "DES"}, "ValidationException"),
        ("CreateAliasRequest", {"AliasName": "alias/!", "TargetKeyId": "k"}, "ValidationException"),
    ],
)
def test_faults_are_named_as_aws_names_them(shape: str, document: Any, code: str) -> None:
    with pytest.raises(AwsError) as caught:
        read(shape, document)
    assert caught.value.code == code


def test_faults_say_which_member_and_why() -> None:
    with pytest.raises(AwsError) as caught:
        read("ListKeysRequest", {"Limit": 5000})
    assert caught.value.message == (
        "1 validation error detected: Value '5000' at 'limit' failed to satisfy constraint: "
        "Member must have value less than or equal to 1000"
    )


def test_answers_are_written_by_shape() -> None:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    body = write_json(KMS, "DescribeKeyResponse", {"KeyMetadata": {"KeyId": "k", "CreationDate": made, "Arn": None}})
    assert json.loads(body) == {"KeyMetadata": {"KeyId": "k", "CreationDate": made.timestamp()}}
    with pytest.raises(KeyError):
        write_json(KMS, "DescribeKeyResponse", {"NoSuchMember": 1})


def test_operations_become_method_names() -> None:
    names = ("Encrypt", "GenerateDataKeyWithoutPlaintext", "ListMFADevices")
    assert [snake_case(name) for name in names] == [
        "encrypt",
        "generate_data_key_without_plaintext",
        "list_mfa_devices",
    ]
