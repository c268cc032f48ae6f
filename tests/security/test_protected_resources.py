"""What a cloud cannot lose, tried on a real one with the programs people have: kubectl, aws, aerekos, the API."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clouds import Cloud, Said, a_port, eventually
from kubectl import Kubectl, kubectl_for, oldest_or_newest

from crds.model import rfc3339


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("protected") / "home", a_port())
    said = running.command("up", "--timeout", "200", timeout=240)
    assert said.code == 0, said
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


@pytest.fixture(scope="module")
def kubectl(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return kubectl_for(cloud, oldest_or_newest("oldest"), tmp_path_factory.mktemp("kubectl"))


def refused(said: Said, *words: str) -> None:
    assert said.code != 0, said
    assert all(word in said.err for word in words), said


def s3(cloud: Cloud, *arguments: str) -> None:
    said = cloud.aws("s3", *arguments)
    assert said.code == 0, said


def test_a_key_outlives_every_wish_to_be_rid_of_it_and_opens_what_it_sealed(cloud: Cloud, kubectl: Kubectl) -> None:
    key = cloud.kms("create-key")["KeyMetadata"]["KeyId"]
    blob = cloud.kms("encrypt", "--key-id", key, "--plaintext", "secret")["CiphertextBlob"]
    (cloud.home / "blob").write_bytes(base64.b64decode(blob))
    early = "2020-01-01T00:00:00Z"
    patch = [{"op": "add", "path": "/spec/deletionDate", "value": early}]
    for arguments in (
        ["delete", "key", key],
        ["delete", "key", key, "--force", "--grace-period=0"],
        ["delete", "keys", "--all"],
        ["patch", "key", key, "--type=merge", "-p", json.dumps({"spec": {"deletionDate": early}})],
        ["patch", "key", key, "--type=json", "-p", json.dumps(patch)],
    ):
        refused(kubectl.say(*arguments), "7 to 30 days")
    refused(cloud.command("delete", "key", key), "deletionDate")
    opened = cloud.kms("decrypt", "--ciphertext-blob", f"fileb://{cloud.home / 'blob'}")
    assert opened["Plaintext"] == "c2VjcmV0"


def test_the_command_in_the_refusal_works_and_can_be_taken_back(cloud: Cloud, kubectl: Kubectl) -> None:
    key = cloud.kms("create-key")["KeyMetadata"]["KeyId"]
    date = rfc3339(datetime.now(UTC) + timedelta(days=8))
    kubectl.do("patch", "key", key, "--type=merge", "-p", json.dumps({"spec": {"deletionDate": date}}))
    assert cloud.kms("describe-key", "--key-id", key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    refused(kubectl.say("delete", "key", key), "cannot be sooner")
    assert cloud.aws("kms", "cancel-key-deletion", "--key-id", key).code == 0
    assert cloud.kms("schedule-key-deletion", "--key-id", key, "--pending-window-in-days", "7")["KeyState"]


def test_a_bucket_with_objects_stays_in_every_way(cloud: Cloud, kubectl: Kubectl) -> None:
    s3(cloud, "mb", "s3://photos")
    (cloud.home / "one").write_text("one")
    s3(cloud, "cp", str(cloud.home / "one"), "s3://photos/one")
    refused(cloud.aws("s3", "rb", "s3://photos"), "BucketNotEmpty")
    for arguments in (
        ["delete", "bucket", "photos"],
        ["delete", "bucket", "photos", "--force", "--grace-period=0"],
        ["delete", "buckets", "--all"],
    ):
        refused(kubectl.say(*arguments), "aws s3 rm --recursive s3://photos")
    refused(cloud.command("delete", "bucket", "photos"), "not empty")
    s3(cloud, "cp", "s3://photos/one", str(cloud.home / "two"))
    assert (cloud.home / "two").read_text() == "one"


def test_the_key_under_it_is_in_use(cloud: Cloud, kubectl: Kubectl) -> None:
    key = cloud.kms("create-key")["KeyMetadata"]["KeyId"]
    spec = {"encryption": {"key": key}}
    bucket = {"apiVersion": "aerekos.cloud/v1", "kind": "Bucket", "metadata": {"name": "sealed"}, "spec": spec}
    kubectl.do("apply", "-f", "-", text=json.dumps(bucket))
    refused(cloud.aws("kms", "schedule-key-deletion", "--key-id", key), "Bucket sealed")
    s3_key = cloud.kms("describe-key", "--key-id", "alias/aws/s3")["KeyMetadata"]["KeyId"]
    for operation in ("disable-key", "schedule-key-deletion"):
        refused(cloud.aws("kms", operation, "--key-id", s3_key), "AccessDenied")
    refused(kubectl.say("patch", "key", s3_key, "--type=merge", "-p", '{"spec":{"enabled":false}}'), "platform")
    refused(kubectl.say("delete", "keyaliases", "--all"), "platform")
    assert cloud.kms("describe-key", "--key-id", "alias/aws/s3")["KeyMetadata"]["KeyState"] == "Enabled"
    for shown in (lambda: cloud.do("get", "keys"), lambda: kubectl.do("get", "keys")):
        lines = eventually(lambda shown=shown: re.findall(r".*alias/aws/s3.*", shown()), "it is known by its name")
        assert [line.split()[0] for line in lines] == [s3_key]


def test_an_object_is_sealed_with_the_key_it_names_and_that_key_stays(cloud: Cloud) -> None:
    key = cloud.kms("create-key")["KeyMetadata"]
    s3(cloud, "cp", "--sse", "aws:kms", "--sse-kms-key-id", key["KeyId"], str(cloud.home / "one"), "s3://photos/own")
    s3(cloud, "cp", "s3://photos/own", str(cloud.home / "three"))
    assert (cloud.home / "three").read_text() == "one"
    sealed_by = lambda: cloud.get("bucket", "photos")["status"].get("keys", [])  # noqa: E731
    # By its id: the region in an ARN is the one a request was signed for.
    named = lambda: any(each.endswith(f":key/{key['KeyId']}") for each in sealed_by())  # noqa: E731
    eventually(named, "the bucket says what its data was sealed with")
    refused(cloud.aws("kms", "schedule-key-deletion", "--key-id", key["KeyId"]), "Bucket photos")
    none = ["--sse", "aws:kms", "--sse-kms-key-id", "alias/none"]
    refused(cloud.aws("s3", "cp", *none, str(cloud.home / "one"), "s3://photos/none"), "KMS.NotFoundException")


def test_what_s3_does_not_do_is_refused_at_the_door_too(cloud: Cloud) -> None:
    one, to = str(cloud.home / "one"), "s3://photos/refused"
    Path(one).write_text("one")
    for asked, words in (
        (["--acl", "public-read"], "AccessControlListNotSupported"),
        (["--storage-class", "GLACIER"], "InvalidStorageClass"),
    ):
        refused(cloud.aws("s3", "cp", *asked, one, to), words)
    wrong = ["--bucket", "photos", "--key", "one", "--expected-bucket-owner", "111111111111"]
    refused(cloud.aws("s3api", "delete-object", *wrong), "AccessDenied")
    assert "refused" not in cloud.aws("s3", "ls", "s3://photos").out


def test_an_emptied_bucket_goes_at_once_by_kubectl(cloud: Cloud, kubectl: Kubectl) -> None:
    s3(cloud, "rm", "--recursive", "s3://photos")
    kubectl.do("delete", "bucket", "photos", "--timeout=60s")
    s3(cloud, "mb", "s3://photos")
    s3(cloud, "rb", "s3://photos")


def test_namespaces_that_hold_data_name_it_and_ours_stay(cloud: Cloud, kubectl: Kubectl) -> None:
    kubectl.do("create", "namespace", "team")
    key = {"apiVersion": "aerekos.cloud/v1", "kind": "Key", "metadata": {"name": "orders", "namespace": "team"}}
    kubectl.do("apply", "-f", "-", text=json.dumps(key))
    eventually(lambda: cloud.get("key", "orders", "-n", "team")["status"].get("currentVersion"), "it has material")
    refused(kubectl.say("delete", "namespace", "team"), '"orders"')
    for name in ("default", "aerekos-system"):
        refused(kubectl.say("delete", "namespace", name, "--wait=false"), "may not be deleted")
    assert cloud.get("namespace", "team")["status"]["phase"] == "Active"


def test_what_others_need_and_the_last_of_its_kind_stay(cloud: Cloud, kubectl: Kubectl) -> None:
    refused(kubectl.say("delete", "asvc", "key-manager"), "storage-manager", "aerekos delete service")
    refused(kubectl.say("delete", "user", "admin"), "last user with the role admin")
    demoted = ["patch", "user", "admin", "--type=merge", "-p"]
    refused(kubectl.say(*demoted, '{"spec":{"roles":["viewer"]}}'), "last user with the role admin")
    refused(kubectl.say(*demoted, '{"spec":{"disabled":true}}'), "last user with the role admin")
    refused(kubectl.say("delete", "workers", "--all"), "this machine is the cloud")
    assert cloud.is_ready("key-manager")
