"""The gateway of a real cloud, a process beside its conductor: the usual tools, and what ends and comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError
from clouds import Cloud, eventually

from controller.main.gateway_records import GatewayRecord, read_gateways

PASSWORD = "seven quiet gates of the north"


def gateways(cloud: Cloud) -> list[GatewayRecord]:
    """Those that live."""
    return list(read_gateways(cloud.home))


def client_of(cloud: Cloud, service: str, told: dict[str, str] | None = None) -> Any:
    told = told or cloud.aws_env()
    keys = told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"]
    return cloud.boto3(service, *keys, retries={"max_attempts": 0}, s3={"addressing_style": "path"})


def test_aws_tools_do_not_notice(cloud: Cloud) -> None:
    kms, s3 = client_of(cloud, "kms"), client_of(cloud, "s3")
    key = kms.create_key(Description="through a gateway")["KeyMetadata"]["KeyId"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x" * 4096)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x" * 4096
    s3.create_bucket(Bucket="through")
    body = os.urandom(3 * 2**20)
    s3.put_object(Bucket="through", Key="a b/ü", Body=body)
    assert s3.get_object(Bucket="through", Key="a b/ü")["Body"].read() == body
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket="through", Key="nothing")
    assert refused.value.response["Error"]["Code"] == "NoSuchKey"


def test_what_was_done_stands_in_the_audit_log_and_in_the_metrics(cloud: Cloud) -> None:
    client_of(cloud, "kms").list_keys()

    def noted() -> bool:
        with cloud.http() as client:
            lines = client.get("/audit").json()["items"]
            counted = client.get("/metrics").text
        mine = [each for each in lines if each.get("action") == "kms:ListKeys" and each["user"] == "admin"]
        return bool(mine) and 'aerekos_http_requests_total{code="200",handler="aws",method="POST"}' in counted

    eventually(noted, "the line and the count")


def test_the_resource_api_is_behind_it(cloud: Cloud) -> None:
    home = cloud.home / "tls"
    command = ["kubectl", "--server", f"https://127.0.0.1:{cloud.port}", "--certificate-authority", home / "ca.crt"]
    admin = ["--client-certificate", home / "admin.crt", "--client-key", home / "admin.key"]
    said = subprocess.run(
        [*command, *admin, "get", "services", "-o", "name"], capture_output=True, text=True, check=True
    )
    assert "key-manager" in said.stdout
    with cloud.http(admin=False) as nobody:
        assert nobody.get("/apis/aerekos.cloud/v1/services").status_code == 401


def log_in(cloud: Cloud, name: str) -> dict[str, str]:
    with cloud.http(admin=False) as client:
        answer = client.post("/auth/login", json={"username": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return {"authorization": f"Bearer {answer.json()['accessToken']}"}


def test_an_upgrade_at_the_host_of_a_website_reaches_nobody(cloud: Cloud) -> None:
    head = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "x"}
    with cloud.http() as client:
        for host in ("photos.s3-website.localhost", "photos.localhost", "localhost"):
            asked = client.get("/api/v1/namespaces/default/pods/none/exec", headers={**head, "host": host})
            assert asked.status_code >= 400
            assert ("only what is in a bucket" in asked.text) is (host != "localhost"), asked.text


def test_a_right_that_is_lost_is_lost_here_too(cloud: Cloud) -> None:
    """Within two seconds, though nobody is asked while a request waits."""
    cloud.do("user", "create", "ann", "--role", "viewer", "--password-stdin", text=f"{PASSWORD}\n")
    ann = log_in(cloud, "ann")
    with cloud.http(admin=False) as client:

        def said() -> int:
            return client.get("/services/key-manager/", headers=ann).status_code

        eventually(lambda: said() not in (401, 403), "ann is let in")
        cloud.do("user", "disable", "ann")
        eventually(lambda: said() == 401, "ann is out")


def pids(cloud: Cloud) -> set[int]:
    return {each.pid for each in gateways(cloud)}


def test_one_that_was_killed_begins_again_and_its_clients_wait(cloud: Cloud) -> None:
    """The socket it listened on is the conductor's: nobody is refused meanwhile."""
    told, before = cloud.aws_env(), pids(cloud)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    client_of(cloud, "kms", told).list_keys()
    eventually(lambda: len(pids(cloud)) == len(before), "as many as before")
    assert not pids(cloud) & before


def test_one_that_hangs_is_killed_and_begins_again(cloud: Cloud) -> None:
    before = pids(cloud)
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    eventually(lambda: len(pids(cloud) - before) == len(before), "the next ones")
    with cloud.http() as client:  # which is still to begin
        assert client.get("/version", timeout=60).status_code == 200


def test_one_that_makes_room_for_the_next_loses_no_request(cloud: Cloud) -> None:
    """Three times under the load of who comes with a new connection each time, and of who keeps theirs."""
    stop, failed, done, told = threading.Event(), list[BaseException](), [0], cloud.aws_env()

    def load(keeps: bool) -> None:
        kms = client_of(cloud, "kms", told)
        while not stop.is_set():
            try:
                (kms if keeps else client_of(cloud, "kms", told)).list_keys()
                done[0] += 1
            except Exception as lost:
                failed.append(lost)

    threads = [threading.Thread(target=load, args=(keeps,)) for keeps in (True, True, False)]
    for each in threads:
        each.start()
    try:
        for _ in range(3):
            before = pids(cloud)
            for pid in before:
                os.kill(pid, signal.SIGHUP)
            eventually(lambda: not pids(cloud) & before and pids(cloud), "the next ones")  # noqa: B023
    finally:
        stop.set()
        for each in threads:
            each.join()
    assert not failed and done[0] > 10


def test_it_outlives_a_conductor_that_was_killed(cloud: Cloud) -> None:
    before, kms = gateways(cloud), client_of(cloud, "kms")
    kms.list_aliases()
    os.kill(cloud.conductor_pid(), signal.SIGKILL)
    with cloud.http(admin=False) as client:
        eventually(lambda: client.get("/version").status_code == 503, "it is said that nobody is there")
        said = client.get("/version")
        assert (said.json()["reason"], said.headers["retry-after"]) == ("ServiceUnavailable", "1")
        status = cloud.command("status")
        assert status.code == 3 and "no conductor behind it" in status.err + status.out
        assert "Aliases" in kms.list_aliases()
    cloud.do("up")
    assert gateways(cloud) and pids(cloud) <= {each.pid for each in before}
    with cloud.http() as client:
        assert client.get("/version").status_code == 200


def test_those_of_a_dead_conductor_make_room_where_it_is_started_otherwise_or_not_at_all(cloud: Cloud) -> None:
    before = gateways(cloud)
    os.kill(cloud.conductor_pid(), signal.SIGKILL)
    said = cloud.command("up", AEREKOS_GATEWAYS="2", AEREKOS_LOG_LEVEL="debug")
    assert said.code == 0, said
    eventually(lambda: len(gateways(cloud)) == 2, "two of them")
    eventually(lambda: not any(each.alive for each in before), "the one of before has ended")
    client_of(cloud, "kms").list_keys()
    os.kill(cloud.conductor_pid(), signal.SIGKILL)
    two = gateways(cloud)
    assert "gateway (pid " in cloud.do("down")
    assert not any(each.alive for each in two) and gateways(cloud) == []
    cloud.do("up")


def test_each_request_has_a_line_in_the_access_log(cloud: Cloud) -> None:
    client_of(cloud, "kms").list_keys()
    with cloud.http() as client:
        client.get("/version", headers={"x-request-id": "a-journey"})

    def written() -> bool:
        text = (cloud.home / "logs" / "access.log").read_text().rpartition("\n")[0]
        lines = [json.loads(line) for line in text.splitlines()]
        version = [line["status"] for line in lines if line.get("requestId") == "a-journey"]
        keys = [line["instance"] for line in lines if line.get("service") == "key-manager" and line["path"] == "/"]
        return keys[-1:] == ["key-manager-0"] and version == [200]

    eventually(written, "both requests stand in the access log")
