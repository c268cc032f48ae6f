"""Every AWS operation asks for the action that AWS's Service Authorization Reference names, and none is open.

Each is called by somebody who may all, but for that one action; and by somebody who may nothing. Operations are read
off the services: a new one is called without being named here. `actions/` has the names of the reference.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from security.aws_samples import (
    ACCOUNT,
    EVENTS,
    IAM,
    KMS,
    LOGS,
    MONITORING,
    POLICY,
    RDS,
    S3,
    SCHEDULER,
    SECRETS,
    SNS,
    SQS,
    STS,
    TRUST,
    Samples,
    request_of,
)

from services.db_manager.rds.operations import OPERATIONS as RDS_OPERATIONS
from services.iam_manager.app import OPERATIONS as IAM_OPERATIONS
from services.iam_manager.app import STS_OPERATIONS
from services.key_manager.operations import OPERATIONS as KMS_OPERATIONS
from services.logs_manager.operations import OPERATIONS as LOGS_OPERATIONS
from services.metrics_manager.cloudwatch.operations import OPERATIONS as CLOUDWATCH_OPERATIONS
from services.queue_manager.operations import OPERATIONS as SQS_OPERATIONS
from services.queue_manager.topic_operations import TOPIC_OPERATIONS
from services.schedule_manager.events.operations import EVENT_OPERATIONS
from services.schedule_manager.operations import OPERATIONS as SCHEDULER_OPERATIONS
from services.sdk.aws.model import called
from services.sdk.discovery import managed_services
from services.sdk.testing import ServiceHarness, User, serving
from services.secrets_manager.operations import OPERATIONS as SECRETS_OPERATIONS
from services.storage_manager.handlers import OPERATIONS as S3_OPERATIONS

ACTIONS = Path(__file__).parent / "actions"
OPERATIONS: dict[str, tuple[str, ...]] = {
    "events": tuple(EVENT_OPERATIONS),
    "iam": tuple(IAM_OPERATIONS),
    "kms": tuple(KMS_OPERATIONS),
    "logs": tuple(LOGS_OPERATIONS),
    "monitoring": tuple(CLOUDWATCH_OPERATIONS),
    "rds": tuple(RDS_OPERATIONS),
    "s3": tuple(S3_OPERATIONS),
    "scheduler": tuple(SCHEDULER_OPERATIONS),
    "secretsmanager": tuple(SECRETS_OPERATIONS),
    "sns": tuple(TOPIC_OPERATIONS),
    "sqs": tuple(SQS_OPERATIONS),
    "sts": tuple(STS_OPERATIONS),
}
# Where an operation asks for another action than the one of its name; for several, where each is enough to refuse.
# Source: the API reference of each operation, "Permissions".
OTHER_ACTIONS: dict[str, tuple[str, ...]] = {
    "s3:PutBucketCors": ("PutBucketCORS",),
    "s3:GetBucketCors": ("GetBucketCORS",),
    "s3:DeleteBucketCors": ("PutBucketCORS",),
    "s3:PutBucketLifecycleConfiguration": ("PutLifecycleConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("GetLifecycleConfiguration",),
    "s3:DeleteBucketLifecycle": ("PutLifecycleConfiguration",),
    "s3:DeleteBucketTagging": ("PutBucketTagging",),
    "s3:PutBucketNotificationConfiguration": ("PutBucketNotification",),
    "s3:GetBucketNotificationConfiguration": ("GetBucketNotification",),
    "s3:PutBucketAccelerateConfiguration": ("PutAccelerateConfiguration",),
    "s3:GetBucketAccelerateConfiguration": ("GetAccelerateConfiguration",),
    "s3:PutBucketReplication": ("PutReplicationConfiguration",),
    "s3:GetBucketReplication": ("GetReplicationConfiguration",),
    "s3:DeleteBucketReplication": ("PutReplicationConfiguration",),
    "s3:PutPublicAccessBlock": ("PutBucketPublicAccessBlock",),
    "s3:GetPublicAccessBlock": ("GetBucketPublicAccessBlock",),
    "s3:DeletePublicAccessBlock": ("PutBucketPublicAccessBlock",),
    "s3:DeleteBucketOwnershipControls": ("PutBucketOwnershipControls",),
    "s3:PutBucketEncryption": ("PutEncryptionConfiguration",),
    "s3:GetBucketEncryption": ("GetEncryptionConfiguration",),
    "s3:DeleteBucketEncryption": ("PutEncryptionConfiguration",),
    "s3:PutObjectLockConfiguration": ("PutBucketObjectLockConfiguration",),
    "s3:GetObjectLockConfiguration": ("GetBucketObjectLockConfiguration",),
    "kms:ReEncrypt": ("ReEncryptFrom", "ReEncryptTo"),
    "s3:HeadBucket": ("ListBucket",),
    "s3:HeadObject": ("GetObject",),
    "s3:ListBuckets": ("ListAllMyBuckets",),
    "s3:ListObjects": ("ListBucket",),
    "s3:ListObjectsV2": ("ListBucket",),
    "s3:ListObjectVersions": ("ListBucketVersions",),
    "s3:ListMultipartUploads": ("ListBucketMultipartUploads",),
    "s3:ListParts": ("ListMultipartUploadParts",),
    "s3:CopyObject": ("PutObject", "GetObject"),
    "s3:CreateMultipartUpload": ("PutObject",),
    "s3:UploadPart": ("PutObject",),
    "s3:UploadPartCopy": ("PutObject", "GetObject"),
    "s3:CompleteMultipartUpload": ("PutObject",),
    "s3:DeleteObjects": ("DeleteObject",),
    "sns:PublishBatch": ("Publish",),
    "sqs:ChangeMessageVisibilityBatch": ("ChangeMessageVisibility",),
    "sqs:DeleteMessageBatch": ("DeleteMessage",),
    "sqs:SendMessageBatch": ("SendMessage",),
}
# What anybody may who is somebody: each is about its caller alone, or about nothing that is kept.
FOR_ALL = {
    "iam:CreateAccessKey": "the conductor lets everybody see to their own keys, and admins to everybody's",
    "iam:DeleteAccessKey": "as CreateAccessKey",
    "iam:GetAccessKeyLastUsed": "as CreateAccessKey",
    "iam:ListAccessKeys": "as CreateAccessKey",
    "iam:UpdateAccessKey": "as CreateAccessKey",
    "kms:GenerateRandom": "random bytes, which are nobody's",
    "secretsmanager:GetRandomPassword": "random text, which is nobody's",
    "sts:GetAccessKeyInfo": "whose account a key is of may be known by whoever knows the key",
    "sts:GetFederationToken": "a session that may no more than its caller",
    "sts:GetSessionToken": "as GetFederationToken",
}
# What no policy of the caller decides here.
DECIDED_ELSEWHERE = {
    "sts:AssumeRole": "the conductor asks for it, beside what the role trusts: tests/unit/api/test_sts.py",
    "sts:AssumeRoleWithWebIdentity": "nobody signs it: the conductor judges the token",
    "sts:GetCallerIdentity": "nobody can be denied who they are",
}
DENIED = {"AuthorizationError", "AccessDenied", "AccessDeniedException", "403"}
EVERY = [
    (service, name)
    for service, names in OPERATIONS.items()
    for name in names
    if f"{service}:{name}" not in DECIDED_ELSEWHERE
]
_NUMBERS = itertools.count(1)


@dataclass
class Judged:
    """A running service with what samples name, and callers of it."""

    service: str
    harness: ServiceHarness
    samples: dict[str, Any] = field(default_factory=dict)

    def owner(self) -> Any:
        return self.harness.boto3_client(self.service)

    def denied(self, action: str) -> Any:
        """A client of an admin whom a policy denies that action."""
        user = self._user()
        statements = [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": action, "Resource": "*"},
        ]
        self.harness.conductor.identities.policies[user.name] = {
            "user": {
                "name": user.name,
                "arn": f"arn:aws:iam::{ACCOUNT}:user/{user.name}",
                "account": ACCOUNT,
                "id": "AIDA",
                "tags": {},
            },
            "identity": [{"name": "p", "document": json.dumps({"Version": "2012-10-17", "Statement": statements})}],
            "boundary": None,
        }
        return self.harness.boto3_client(self.service, user)

    def powerless(self) -> Any:
        """A client of somebody without any role or policy."""
        user = self._user(groups=())
        for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "use"):
            self.harness.conductor.refuse(user.name, verb)
        return self.harness.boto3_client(self.service, user)

    def _user(self, groups: tuple[str, ...] = ("aerekos:admin",)) -> User:
        number = next(_NUMBERS)
        return self.harness.conductor.add(
            User(f"caller-{number}", groups=groups, access_key=f"AKIACALLER{number:010}")
        )

    def refusal(self, client: Any, operation: str) -> tuple[str, str]:
        """Code and message of the answer; its code is empty where it is none."""
        request = request_of(
            operation, client.meta.service_model.operation_model(operation).input_shape, self.samples
        )
        try:
            answer = getattr(client, xform_name(operation))(**request)
        except ClientError as error:
            answer = {"Errors": [error.response["Error"]]}
        # Of many things at once each is refused by itself.
        refused = next(iter(answer.get("Errors", ())), {"Code": "", "Message": ""})
        return str(refused.get("Code") or refused.get("ErrorCode")), str(refused["Message"])


def actions_of(service: str, operation: str) -> tuple[str, ...]:
    return OTHER_ACTIONS.get(f"{service}:{operation}", (operation,))


def reference(service: str) -> frozenset[str]:
    lines = (ACTIONS / f"{called(service)}.txt").read_text().splitlines()
    return frozenset(each for each in lines if not each.startswith("#"))


def with_identities(judged: Judged) -> None:
    iam = judged.owner()
    iam.create_user(UserName="ann")
    iam.create_group(GroupName="staff")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    iam.create_policy(PolicyName="read", PolicyDocument=POLICY)
    iam.create_instance_profile(InstanceProfileName="profile")
    iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
    iam.create_open_id_connect_provider(Url="https://known.example.com", ThumbprintList=[])
    public = rsa.generate_private_key(65537, 2048).public_key()
    body = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    key = iam.upload_ssh_public_key(UserName="ann", SSHPublicKeyBody=body)["SSHPublicKey"]
    judged.samples |= {"SSHPublicKeyBody": body, "SSHPublicKeyId": key["SSHPublicKeyId"], "Encoding": "SSH"}


def with_objects(judged: Judged) -> None:
    s3 = judged.owner()
    s3.create_bucket(Bucket="things")
    s3.put_object(Bucket="things", Key="a.txt", Body=b"x")
    judged.samples["UploadId"] = s3.create_multipart_upload(Bucket="things", Key="a.txt")["UploadId"]


def with_keys(judged: Judged) -> None:
    kms = judged.owner()

    def made(**request: Any) -> str:
        return str(kms.create_key(**request)["KeyMetadata"]["Arn"])

    plain, signing = made(), made(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    mac, agreeing = (
        made(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"),
        made(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT"),
    )
    imported, family = made(Origin="EXTERNAL"), made(MultiRegion=True)
    enveloping = made(KeySpec="ML_KEM_768", KeyUsage="ENCAPSULATE_DECAPSULATE")
    kms.create_alias(AliasName="alias/first", TargetKeyId=plain)
    grant = kms.create_grant(KeyId=plain, GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:user/ann", Operations=["Decrypt"])
    peer = ec.generate_private_key(ec.SECP256R1()).public_key()
    imports = kms.get_parameters_for_import(
        KeyId=imported, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    sealed = kms.encrypt(KeyId=plain, Plaintext=b"x")["CiphertextBlob"]
    judged.samples |= {
        **dict.fromkeys(("KeyId", "TargetKeyId", "SourceKeyId", "DestinationKeyId"), plain),
        **dict.fromkeys(("Sign.KeyId", "Verify.KeyId", "GetPublicKey.KeyId"), signing),
        **dict.fromkeys(("GenerateMac.KeyId", "VerifyMac.KeyId"), mac),
        **dict.fromkeys(("Encapsulate.KeyId", "Decapsulate.KeyId"), enveloping),
        "DeriveSharedSecret.KeyId": agreeing,
        "PublicKey": peer.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        **dict.fromkeys(
            ("GetParametersForImport.KeyId", "ImportKeyMaterial.KeyId", "DeleteImportedKeyMaterial.KeyId"), imported
        ),
        **dict.fromkeys(("ReplicateKey.KeyId", "UpdatePrimaryRegion.KeyId"), family),
        "ImportToken": imports["ImportToken"],
        "EncryptedKeyMaterial": b"x" * 256,
        **dict.fromkeys(("Decrypt.CiphertextBlob", "ReEncrypt.CiphertextBlob"), sealed),
        "GrantId": grant["GrantId"],
        **dict.fromkeys(("RetireGrant.KeyId", "Decrypt.KeyId"), plain),
        "RetireGrant.GrantId": grant["GrantId"],
        "GenerateDataKey.KeySpec": "AES_256",
        "GenerateDataKeyWithoutPlaintext.KeySpec": "AES_256",
        "GenerateRandom.NumberOfBytes": 32,
    }


def with_instances(judged: Judged) -> None:
    rds = judged.owner()
    new = {name.partition(".")[2]: each for name, each in RDS.items() if name.startswith("CreateDBInstance.")}
    rds.create_db_instance(**{**new, "DBInstanceIdentifier": "orders"})
    rds.create_db_parameter_group(
        DBParameterGroupName="tuned", DBParameterGroupFamily="postgres15", Description="ours"
    )


def with_secrets(judged: Judged) -> None:
    judged.owner().create_secret(Name="db", SecretString="s")


def with_a_queue(judged: Judged) -> None:
    judged.samples["QueueUrl"] = judged.owner().create_queue(QueueName="orders")["QueueUrl"]


def with_schedules(judged: Judged) -> None:
    judged.owner().create_schedule_group(Name="nightly")
    wanted = {name: SCHEDULER[name] for name in ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")}
    judged.owner().create_schedule(**wanted)


def with_rules(judged: Judged) -> None:
    owner = judged.owner()
    owner.create_event_bus(Name="shop")
    owner.put_rule(Name="nightly", EventPattern=EVENTS["EventPattern"])


def with_log_groups(judged: Judged) -> None:
    owner = judged.owner()
    owner.create_log_group(logGroupName="/app/web")
    owner.create_log_stream(logGroupName="/app/web", logStreamName="web-0")


def with_a_topic(judged: Judged) -> None:
    owner = judged.owner()
    topic = owner.create_topic(Name="news")["TopicArn"]
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders"
    made = owner.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    judged.samples |= {"TopicArn": topic, "ResourceArn": topic, "SubscriptionArn": made["SubscriptionArn"]}


def with_an_alarm(judged: Judged) -> None:
    wanted = ("Namespace", "MetricName", "Period", "EvaluationPeriods", "Threshold", "ComparisonOperator")
    known = {name: MONITORING[name] for name in wanted}
    judged.owner().put_metric_alarm(AlarmName="slow", Statistic="Sum", **known)


MAKERS: Mapping[str, tuple[str, Samples, Callable[[Judged], None]]] = {
    "events": ("schedule_manager", EVENTS, with_rules),
    "iam": ("iam_manager", IAM, with_identities),
    "kms": ("key_manager", KMS, with_keys),
    "logs": ("logs_manager", LOGS, with_log_groups),
    "monitoring": ("metrics_manager", MONITORING, with_an_alarm),
    "rds": ("db_manager", RDS, with_instances),
    "s3": ("storage_manager", S3, with_objects),
    "scheduler": ("schedule_manager", SCHEDULER, with_schedules),
    "secretsmanager": ("secrets_manager", SECRETS, with_secrets),
    "sns": ("queue_manager", SNS, with_a_topic),
    "sqs": ("queue_manager", SQS, with_a_queue),
    "sts": ("iam_manager", STS, lambda judged: None),
}


@pytest.fixture(scope="module")
def running() -> Iterator[Callable[[str], Judged]]:
    """Each service once, when it is first asked for."""
    known: dict[str, Judged] = {}
    with ExitStack() as stack:

        def judged(service: str) -> Judged:
            if service not in known:
                name, samples, make = MAKERS[service]
                peer = None if service == "kms" else judged("kms").harness.peer_client
                harness = stack.enter_context(serving(name, secrets={"root-key": bytes(range(32))}, peer=peer))
                made = Judged(service, harness, dict(samples))
                make(made)
                known[service] = made
            return known[service]

        yield judged


def test_every_api_is_asked() -> None:
    """Also one that somebody adds."""
    assert set(OPERATIONS) == {name for each in managed_services() for name in each.speaks}


@pytest.mark.parametrize("service", OPERATIONS)
def test_every_action_is_one_of_the_reference(service: str) -> None:
    asked = {action for operation in OPERATIONS[service] for action in actions_of(service, operation)}
    assert asked - reference(service) == set()


@pytest.mark.parametrize(("service", "operation"), EVERY)
def test_an_operation_asks_for_its_action(running: Callable[[str], Judged], service: str, operation: str) -> None:
    judged = running(service)
    for action in actions_of(service, operation):
        named = f"{called(service)}:{action}"
        code, message = judged.refusal(judged.denied(named), operation)
        assert code in DENIED, (code, message)
        assert f"perform: {named} on" in message or code == "403", message


@pytest.mark.parametrize(("service", "operation"), EVERY)
def test_no_operation_is_open(running: Callable[[str], Judged], service: str, operation: str) -> None:
    judged = running(service)
    code, message = judged.refusal(judged.powerless(), operation)
    assert (code in DENIED) is (f"{service}:{operation}" not in FOR_ALL), (code, message)
