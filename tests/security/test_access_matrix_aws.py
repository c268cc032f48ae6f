"""Every AWS operation, by everybody: who gets in is written down here, and asked of a real cloud over TLS.

The second half of `test_access_matrix.py`. Operations are read off the services: a new one without a row fails.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from clouds import Cloud, a_port, eventually

from services.key_manager.operations import OPERATIONS as KMS_OPERATIONS
from services.storage_manager.handlers import OPERATIONS as S3_OPERATIONS

READ, WRITE, KNOWN = "read", "write", "known"
KMS: dict[str, str] = {
    "generate_random": KNOWN,
    **dict.fromkeys(("describe_key", "list_keys", "list_aliases", "get_key_rotation_status", "get_public_key"), READ),
    **dict.fromkeys(("encrypt", "decrypt", "re_encrypt", "generate_data_key"), WRITE),
    **dict.fromkeys(("generate_data_key_without_plaintext", "create_key", "update_key_description"), WRITE),
    **dict.fromkeys(("get_key_policy", "list_key_policies", "list_resource_tags", "list_key_rotations"), READ),
    **dict.fromkeys(("get_parameters_for_import", "import_key_material", "delete_imported_key_material"), WRITE),
    **dict.fromkeys(("list_grants", "list_retirable_grants", "describe_custom_key_stores"), READ),
    **dict.fromkeys(("replicate_key", "update_primary_region"), WRITE),
    **dict.fromkeys(("create_grant", "revoke_grant", "retire_grant"), WRITE),
    **dict.fromkeys(("put_key_policy", "tag_resource", "untag_resource"), WRITE),
    **dict.fromkeys(("generate_data_key_pair", "generate_data_key_pair_without_plaintext"), WRITE),
    **dict.fromkeys(("sign", "verify", "generate_mac", "verify_mac", "derive_shared_secret"), WRITE),
    **dict.fromkeys(("encapsulate", "decapsulate"), WRITE),
    **dict.fromkeys(("create_alias", "update_alias", "delete_alias", "rotate_key_on_demand"), WRITE),
    **dict.fromkeys(("enable_key_rotation", "disable_key_rotation", "disable_key", "enable_key"), WRITE),
    **dict.fromkeys(("schedule_key_deletion", "cancel_key_deletion"), WRITE),
}
# Documents of buckets: how they are put, read and taken away.
DOCUMENTS: dict[str, dict[str, Any]] = {
    "BucketCors": {"CORSConfiguration": {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}},
    "BucketLifecycleConfiguration": {"LifecycleConfiguration": {"Rules": []}},
    "BucketTagging": {"Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}},
    "BucketWebsite": {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "index.html"}}},
    "BucketLogging": {"BucketLoggingStatus": {}},
    "BucketNotificationConfiguration": {"NotificationConfiguration": {}},
    "BucketAccelerateConfiguration": {"AccelerateConfiguration": {"Status": "Suspended"}},
    "BucketRequestPayment": {"RequestPaymentConfiguration": {"Payer": "BucketOwner"}},
    "BucketReplication": {"ReplicationConfiguration": {"Role": "r", "Rules": []}},
    "BucketPolicy": {"Policy": "garbage"},
    "BucketAcl": {"ACL": "private"},
    "BucketEncryption": {
        "ServerSideEncryptionConfiguration": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        }
    },
    "ObjectLockConfiguration": {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
    "PublicAccessBlock": {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}},
    "BucketOwnershipControls": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
}
TAKEN_AWAY = ("BucketCors", "BucketLifecycle", "BucketTagging", "BucketWebsite", "BucketReplication", "BucketPolicy")
TAKEN_AWAY += ("BucketEncryption",)
S3: dict[str, str] = {
    **{f"Get{name}": READ for name in (*DOCUMENTS, "BucketPolicyStatus")},
    **{f"Put{name}": WRITE for name in DOCUMENTS},
    **{f"Delete{name}": WRITE for name in (*TAKEN_AWAY, "PublicAccessBlock", "BucketOwnershipControls")},
    **dict.fromkeys(("ListBuckets", "HeadBucket", "GetBucketLocation", "ListObjects", "GetObject"), READ),
    **dict.fromkeys(
        ("HeadObject", "ListMultipartUploads", "ListObjectsV2", "GetBucketVersioning", "ListObjectVersions"), READ
    ),
    **dict.fromkeys(("GetObjectTagging", "GetObjectAttributes", "GetObjectRetention", "GetObjectLegalHold"), READ),
    **dict.fromkeys(("PutObjectTagging", "DeleteObjectTagging", "PutObjectRetention", "PutObjectLegalHold"), WRITE),
    "PutBucketVersioning": WRITE,
    "GetObjectAcl": READ,
    "PutObjectAcl": WRITE,
    **dict.fromkeys(("PutObject", "CopyObject", "DeleteObject", "DeleteObjects", "CreateMultipartUpload"), WRITE),
    **dict.fromkeys(("UploadPart", "UploadPartCopy", "ListParts", "CompleteMultipartUpload"), WRITE),
    **dict.fromkeys(("AbortMultipartUpload", "CreateBucket", "DeleteBucket"), WRITE),
}
GRANTEE = "arn:aws:iam::000000000000:user/somebody"
# What each may: in their own account. Nobody may anything in another's.
PEOPLE: dict[str, frozenset[str]] = {
    "admin": frozenset({READ, WRITE, KNOWN}),
    "editor": frozenset({READ, WRITE, KNOWN}),
    "viewer": frozenset({READ, KNOWN}),
    "nsed": frozenset({READ, WRITE, KNOWN}),
    "roleless": frozenset({KNOWN}),
    "demoted": frozenset({READ, KNOWN}),
    "disabled": frozenset(),
    "deleted": frozenset(),
    "forger": frozenset(),
}
DENIED = {"AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId"}
DENIED |= {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSignatureException", "403"}
DENIED |= {"MissingAuthenticationToken", "MissingAuthenticationTokenException", "IncompleteSignature"}


@dataclass
class House:
    """One cloud with all of PEOPLE in it. `keys`: what they sign with; `made`: a key and a ciphertext for each."""

    cloud: Cloud
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    made: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)

    def client(self, service: str, who: str) -> Any:
        # A refusal that comes before the body was read may break the connection off: clients ask again.
        retries = {"total_max_attempts": 6, "mode": "standard"}
        return self.cloud.boto3(
            service, *self.keys.get(who, ("x", "x")), retries=retries, s3={"addressing_style": "path"}
        )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    cloud = Cloud(tmp_path_factory.mktemp("matrix") / "home", a_port())
    said = cloud.command("up", "--timeout", "300", timeout=330)
    assert said.code == 0, said
    try:
        yield settled(House(cloud))
    finally:
        cloud.command("down")
        shutil.rmtree(cloud.home, ignore_errors=True)


def settled(house: House) -> House:
    roles = {"admin": "admin", "editor": "editor", "viewer": "viewer", "demoted": "editor", "disabled": "admin"}
    roles |= {"deleted": "admin"}
    users = "/apis/aerekos.cloud/v1/users"
    with house.cloud.http() as http:
        http.post("/api/v1/namespaces", json={"metadata": {"name": "team-a"}}).raise_for_status()
        for name in ("admin", "editor", "viewer", "nsed", "roleless", "demoted", "disabled", "deleted"):
            spec = {
                "roles": [roles[name]] if name in roles else [],
                "namespace": "team-a" if name == "nsed" else "default",
            }
            person = f"{name}-x"
            http.post(users, json={"metadata": {"name": person}, "spec": spec}).raise_for_status()
            key = http.get("/auth/access-key", headers={"impersonate-user": person}).json()
            house.keys[name] = (key["accessKeyId"], key["secretAccessKey"])
        house.keys["forger"] = (house.keys["admin"][0], "not-the-secret")
        rbac = "rbac.authorization.k8s.io"
        binding = {
            "metadata": {"name": "nsed"},
            "subjects": [{"kind": "User", "name": "nsed-x", "apiGroup": rbac}],
            "roleRef": {"kind": "ClusterRole", "name": "edit", "apiGroup": rbac},
        }
        http.post(f"/apis/{rbac}/v1/namespaces/team-a/rolebindings", json=binding).raise_for_status()
        ready(house)
        merge = {"content-type": "application/merge-patch+json"}
        http.patch(f"{users}/demoted-x", json={"spec": {"roles": ["viewer"]}}, headers=merge).raise_for_status()
        http.patch(f"{users}/disabled-x", json={"spec": {"disabled": True}}, headers=merge).raise_for_status()
        http.delete(f"{users}/deleted-x").raise_for_status()
    return house


def ready(house: House) -> None:
    """Both services answer; everybody has a key and a bucket of their own, made by somebody who may."""

    def answers(call: Callable[[], Any]) -> bool:
        try:
            return bool(call())
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, error
            return False

    kms, s3 = house.client("kms", "admin"), house.client("s3", "admin")
    eventually(lambda: answers(kms.list_keys), "key-manager answers")
    eventually(lambda: answers(s3.list_buckets), "storage-manager answers")
    for who in PEOPLE:
        maker = "nsed" if who == "nsed" else "admin"
        kms, s3 = house.client("kms", maker), house.client("s3", maker)
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        house.made[who] = (key, kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"])
        kms.create_alias(AliasName=f"alias/{who}", TargetKeyId=key)
        eventually(lambda s3=s3, who=who: answers(lambda: s3.create_bucket(Bucket=f"b-{who}")), "a bucket")
        s3.put_object(Bucket=f"b-{who}", Key="o", Body=b"x")
        house.uploads[who] = s3.create_multipart_upload(Bucket=f"b-{who}", Key="o")["UploadId"]


def kms_arguments(operation: str, key: str, blob: bytes, who: str) -> dict[str, Any]:
    named: dict[str, dict[str, Any]] = {
        "generate_random": {"NumberOfBytes": 8},
        "list_keys": {},
        "describe_custom_key_stores": {},
        "list_aliases": {},
        "create_key": {},
        "encrypt": {"KeyId": key, "Plaintext": b"x"},
        "decrypt": {"CiphertextBlob": blob},
        "re_encrypt": {"CiphertextBlob": blob, "DestinationKeyId": key},
        "generate_data_key": {"KeyId": key, "KeySpec": "AES_256"},
        "generate_data_key_without_plaintext": {"KeyId": key, "KeySpec": "AES_256"},
        "generate_data_key_pair": {"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"},
        "generate_data_key_pair_without_plaintext": {"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"},
        "get_parameters_for_import": {
            "KeyId": key,
            "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
            "WrappingKeySpec": "RSA_2048",
        },
        "create_grant": {"KeyId": key, "GranteePrincipal": GRANTEE, "Operations": ["Encrypt"]},
        "list_retirable_grants": {"RetiringPrincipal": GRANTEE},
        "revoke_grant": {"KeyId": key, "GrantId": "0" * 64},
        "retire_grant": {"KeyId": key, "GrantId": "0" * 64},
        "replicate_key": {"KeyId": key, "ReplicaRegion": "eu-west-1"},
        "update_primary_region": {"KeyId": key, "PrimaryRegion": "eu-west-1"},
        "import_key_material": {"KeyId": key, "ImportToken": b"x", "EncryptedKeyMaterial": b"x"},
        "put_key_policy": {"KeyId": key, "Policy": "garbage"},
        "tag_resource": {"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]},
        "untag_resource": {"KeyId": key, "TagKeys": ["a"]},
        "sign": {"KeyId": key, "Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"},
        "verify": {"KeyId": key, "Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256", "Signature": b"x"},
        "generate_mac": {"KeyId": key, "Message": b"x", "MacAlgorithm": "HMAC_SHA_256"},
        "verify_mac": {"KeyId": key, "Message": b"x", "MacAlgorithm": "HMAC_SHA_256", "Mac": b"x"},
        "derive_shared_secret": {"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": b"x"},
        "encapsulate": {"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"},
        "decapsulate": {"KeyId": key, "EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": b"x"},
        "update_key_description": {"KeyId": key, "Description": "d"},
        "create_alias": {"AliasName": f"alias/new-{who}", "TargetKeyId": key},
        "update_alias": {"AliasName": f"alias/{who}", "TargetKeyId": key},
        "delete_alias": {"AliasName": f"alias/{who}"},
        "schedule_key_deletion": {"KeyId": key, "PendingWindowInDays": 7},
    }
    return named.get(operation, {"KeyId": key})


def s3_arguments(operation: str, bucket: str, upload: str = "") -> dict[str, Any]:
    one = {"Bucket": bucket, "Key": "o"}
    part = {**one, "UploadId": upload}
    named: dict[str, dict[str, Any]] = {
        "ListBuckets": {},
        "PutObject": {**one, "Body": b"y"},
        "CopyObject": {"Bucket": bucket, "Key": "p", "CopySource": f"{bucket}/o"},
        "DeleteObjects": {"Bucket": bucket, "Delete": {"Objects": [{"Key": "p"}]}},
        "UploadPart": {**part, "PartNumber": 1, "Body": b"y"},
        "UploadPartCopy": {**part, "PartNumber": 1, "CopySource": f"{bucket}/o"},
        "CompleteMultipartUpload": {**part, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": '"x"'}]}},
        "PutObjectTagging": {**one, "Tagging": {"TagSet": []}},
        "PutObjectRetention": {**one, "Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": "2050-01-01"}},
        "PutObjectLegalHold": {**one, "LegalHold": {"Status": "ON"}},
        "PutObjectAcl": {**one, "ACL": "private"},
        "GetObjectAttributes": {**one, "ObjectAttributes": ["ETag"]},
        "PutBucketVersioning": {"Bucket": bucket, "VersioningConfiguration": {"Status": "Enabled"}},
        "CreateBucket": {"Bucket": f"{bucket}-new"},
        "ListParts": part,
        "AbortMultipartUpload": part,
        **{f"Put{name}": {"Bucket": bucket, **document} for name, document in DOCUMENTS.items()},
    }
    on_objects = ("GetObject", "HeadObject", "DeleteObject", "CreateMultipartUpload")
    on_objects += ("GetObjectTagging", "DeleteObjectTagging", "GetObjectRetention", "GetObjectLegalHold")
    on_objects += ("GetObjectAcl",)
    return named.get(operation, one if operation in on_objects else {"Bucket": bucket})


def refusal(call: Callable[[], Any]) -> str:
    """The code of a refusal for want of rights; empty for success, and for every other reason."""
    try:
        of_each = (call() or {}).get("Errors", [])
        return next((each["Code"] for each in of_each if each["Code"] in DENIED), "")
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] < 500, error
        return code if code in DENIED else ""


def test_every_operation_has_a_row() -> None:
    public = {xform_name(name) for name in KMS_OPERATIONS}
    assert public == set(KMS)
    assert set(S3_OPERATIONS) == set(S3)


@pytest.mark.parametrize("who", PEOPLE)
def test_every_operation_of_kms(house: House, who: str) -> None:
    client, (key, blob) = house.client("kms", who), house.made[who]
    wrong = []
    for operation, sort in KMS.items():  # the end of the key comes last
        code = refusal(lambda o=operation: getattr(client, o)(**kms_arguments(o, key, blob, who)))
        if bool(code) == (sort in PEOPLE[who]):
            wrong.append((operation, code))
    assert not wrong, wrong


@pytest.mark.parametrize("who", PEOPLE)
def test_every_operation_of_s3(house: House, who: str) -> None:
    client = house.client("s3", who)
    wrong = []
    for operation, sort in S3.items():
        arguments = s3_arguments(operation, f"b-{who}", house.uploads[who])
        code = refusal(lambda o=operation, a=arguments: getattr(client, xform_name(o))(**a))
        if bool(code) == (sort in PEOPLE[who]):
            wrong.append((operation, code))
    assert not wrong, wrong


def test_nobody_gets_anything_without_a_signature(house: House) -> None:
    """Unsigned, it is nobody's request: nothing of a bucket or key, whether S3 is asked (501: no such operation)."""
    target = {"content-type": "application/x-amz-json-1.1"}
    with house.cloud.http(admin=False) as http:
        for path in ("/b-viewer", "/b-viewer/o", "/b-viewer?list-type=2", "/b-viewer?uploads"):
            for method in ("GET", "HEAD", "PUT", "DELETE", "POST"):
                assert http.request(method, path).status_code in (401, 403, 404, 405, 415, 501), (method, path)
        for operation in KMS:
            name = "".join(part.title() for part in operation.split("_"))
            answer = http.post("/", json={}, headers={**target, "x-amz-target": f"TrentService.{name}"})
            assert answer.status_code in (401, 403, 404, 405, 415), (name, answer.text)
        assert b"Bucket" not in http.get("/").content


def test_another_account_is_closed_to_all_of_it(house: House) -> None:
    """An editor of team-a, asking for keys of `default` by their ARN; and nobody's bucket is found under its name."""
    client, key = house.client("kms", "nsed"), house.made["viewer"][0]
    arn = f"arn:aws:kms:us-east-1:000000000000:key/{key}"
    for operation in KMS:
        arguments = kms_arguments(operation, arn, house.made["viewer"][1], "viewer")
        if "KeyId" in arguments or "CiphertextBlob" in arguments:
            with pytest.raises(ClientError):
                getattr(client, operation)(**arguments)
    s3 = house.client("s3", "nsed")
    for operation in ("GetObject", "PutObject", "DeleteObject", "ListObjects"):
        with pytest.raises(ClientError):
            getattr(s3, xform_name(operation))(**s3_arguments(operation, "b-viewer"))


def test_a_signature_for_one_service_opens_no_other(house: House) -> None:
    """Wrong audience: signed for S3 by somebody who may everything, sent as a KMS call."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    headers = {"x-amz-target": "TrentService.ListKeys", "content-type": "application/x-amz-json-1.1"}
    url = f"https://127.0.0.1:{house.cloud.port}/"
    request = AWSRequest("POST", url, headers=headers, data=b"{}")
    SigV4Auth(Credentials(*house.keys["admin"]), "s3", "us-east-1").add_auth(request)
    with house.cloud.http(admin=False) as http:
        answer = http.post("/", content=b"{}", headers=dict(request.headers))
    assert answer.status_code in (400, 403, 404, 405, 501), answer.text
    assert b'"Keys"' not in answer.content
