"""A gateway as a process of its own before a real cloud: the same tools, and what ends and comes back."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from clouds import REPOSITORY, Cloud, a_port, eventually

PASSWORD = "seven quiet gates of the north"


@dataclass(frozen=True)
class Gateway:
    """A cloud, and the port its gateway answers on."""

    cloud: Cloud
    port: int

    def http(self, token: str = "") -> httpx.Client:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        trust = ssl.create_default_context(cafile=str(self.cloud.home / "tls" / "ca.crt"))
        return httpx.Client(base_url=f"https://127.0.0.1:{self.port}", verify=trust, headers=headers, trust_env=False)

    def aws(self, service: str) -> Any:
        told = self.cloud.aws_env()
        return boto3.client(
            service,
            endpoint_url=f"https://127.0.0.1:{self.port}",
            verify=told["AWS_CA_BUNDLE"],
            region_name="us-east-1",
            aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )


@contextmanager
def a_gateway(cloud: Cloud, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "api.gateway", "--home", str(cloud.home), "--port", str(port)]
    with (cloud.home.parent / "gateway.log").open("ab") as log:
        running = subprocess.Popen(command, cwd=REPOSITORY, env=cloud.env, stdout=log, stderr=log)
    try:
        eventually(lambda: is_open(cloud, port), "the gateway answers")
        yield running
    finally:
        running.kill()
        running.wait()


def is_open(cloud: Cloud, port: int) -> bool:
    try:
        with Gateway(cloud, port).http() as client:
            return client.get("/health").status_code in (200, 503)
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def gateway(cloud: Cloud) -> Iterator[Gateway]:
    port = a_port()
    with a_gateway(cloud, port):
        yield Gateway(cloud, port)


def test_aws_tools_do_not_notice(gateway: Gateway) -> None:
    kms, s3 = gateway.aws("kms"), gateway.aws("s3")
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


def test_what_was_done_stands_in_the_audit_log_and_in_the_metrics(gateway: Gateway) -> None:
    gateway.aws("kms").list_keys()

    def noted() -> bool:
        with gateway.cloud.http() as client:
            lines = client.get("/audit").json()["items"]
            counted = client.get("/metrics").text
        mine = [each for each in lines if each.get("action") == "kms:ListKeys" and each["user"] == "admin"]
        return bool(mine) and 'aerekos_http_requests_total{code="200",handler="aws",method="POST"}' in counted

    eventually(noted, "the line and the count")


def test_the_resource_api_is_behind_it(gateway: Gateway) -> None:
    home = gateway.cloud.home / "tls"
    command = ["kubectl", "--server", f"https://127.0.0.1:{gateway.port}", "--certificate-authority", home / "ca.crt"]
    admin = ["--client-certificate", home / "admin.crt", "--client-key", home / "admin.key"]
    said = subprocess.run(
        [*command, *admin, "get", "services", "-o", "name"], capture_output=True, text=True, check=True
    )
    assert "key-manager" in said.stdout
    with gateway.http() as nobody:
        assert nobody.get("/apis/aerekos.cloud/v1/services").status_code == 401


def log_in(gateway: Gateway, name: str) -> str:
    with gateway.http() as client:
        answer = client.post("/auth/login", json={"username": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["accessToken"])


def test_a_right_that_is_lost_is_lost_here_too(gateway: Gateway) -> None:
    """Within two seconds, though nobody is asked while a request waits."""
    gateway.cloud.do("user", "create", "ann", "--role", "viewer", "--password-stdin", text=f"{PASSWORD}\n")
    with gateway.http(log_in(gateway, "ann")) as client:
        eventually(lambda: client.get("/services/key-manager/").status_code not in (401, 403), "ann is let in")
        gateway.cloud.do("user", "disable", "ann")
        eventually(lambda: client.get("/services/key-manager/").status_code == 401, "ann is out")


def test_a_gateway_that_was_killed_begins_again_and_a_conductor_that_is_away_is_said(cloud: Cloud) -> None:
    port = a_port()
    gateway = Gateway(cloud, port)
    with a_gateway(cloud, port) as running:
        running.send_signal(signal.SIGKILL)
        running.wait()
    with a_gateway(cloud, port):
        kms = gateway.aws("kms")
        kms.list_keys()
        os.kill(cloud.conductor_pid(), signal.SIGKILL)
        with gateway.http() as client:
            eventually(lambda: client.get("/version").status_code == 503, "it is said that nobody is there")
            said = client.get("/version")
            assert (said.json()["reason"], said.headers["retry-after"]) == ("ServiceUnavailable", "1")
        cloud.do("up")
        with gateway.http() as client:
            eventually(lambda: client.get("/version").status_code == 200, "the next conductor answers")
        assert kms.list_keys()["Keys"] is not None


def test_a_home_without_a_cloud_is_no_gateway_s(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "api.gateway", "--home", str(tmp_path), "--port", "1"]
    said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode == 1
    assert said.stderr.splitlines() == [f"there is no cloud in {tmp_path}: start one with aerekos up"]
