"""Signed AWS calls per second through the gateway, against an emulator that keeps everything in memory.

`python bench/aws.py [seconds]`. Both are asked in turn by the same client (load.py), 16 connections, with requests
signed before the clock starts. Our side speaks TLS, verifies each signature, asks the caller's rights, writes the
audit log, encrypts with keys that outlive the process, and passes two processes; the peer does none of that. Its
program is `make bench`'s own (`.venv/peers`); without it, these lines are left out. Signatures are measured beside
the library that makes them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import uuid4

import uvloop
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cloud import Cloud, a_cloud, a_port
from load import Connection, driven, open_connection
from verdicts import Verdict, ratio, table

from services.key_manager.asymmetric import sign
from services.key_manager.material import new_material, private_key

CLIENTS, ROUNDS = 16, 3
PEERS = Path(sys.executable).parent.parent / "peers" / "bin" / "python"
CONTEXT = {"tenant": "bench"}
MESSAGE = b"what is signed" * 16
TARGETS = {
    "GenerateDataKey": 2.0,
    "Encrypt of 4 KiB": 2.0,
    "Decrypt of 4 KiB": 2.0,
    "S3 HEAD of an object": 1.5,
    "GetSecretValue": 2.0,
}


@dataclass(frozen=True)
class Side:
    """One of both: where it answers, and who asks. `ca`: None for one that speaks in the clear."""

    port: int
    credentials: Credentials
    ca: Path | None = None

    def signed(self, service: str, method: str, path: str, body: bytes, **headers: str) -> bytes:
        """The bytes of one request."""
        scheme = "https" if self.ca else "http"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        made = AWSRequest(method, f"{scheme}://localhost:{self.port}{path}", data=body, headers=named)
        sign = S3SigV4Auth if service == "s3" else SigV4Auth
        sign(self.credentials, service, "us-east-1").add_auth(made)
        lines = [f"{name}: {value}" for name, value in made.headers.items()]
        head = [f"{method} {path} HTTP/1.1", f"host: localhost:{self.port}", *lines, f"content-length: {len(body)}"]
        return "\r\n".join([*head, "", ""]).encode() + body

    def kms(self, operation: str, **content: object) -> bytes:
        """A call of KMS."""
        return self._json("kms", f"TrentService.{operation}", content)

    def secrets(self, operation: str, **content: object) -> bytes:
        """A call of Secrets Manager."""
        return self._json("secretsmanager", f"secretsmanager.{operation}", content)

    def _json(self, service: str, target: str, content: dict[str, object]) -> bytes:
        body = json.dumps(content).encode()
        return self.signed(service, "POST", "/", body, content_type="application/x-amz-json-1.1", x_amz_target=target)

    async def connect(self) -> Connection:
        """A connection to it."""
        tls = ssl.create_default_context(cafile=str(self.ca)) if self.ca else None
        return await open_connection(self.port, tls)


async def prepared(side: Side) -> dict[str, bytes]:
    """What is asked again and again, by its name. Makes a key, a bucket, an object and a secret."""
    connection = await side.connect()

    async def tell(request: bytes) -> dict[str, object]:
        answer = (await connection.ask(request)).partition(b"\r\n\r\n")[2]
        return dict(json.loads(answer)) if answer.startswith(b"{") else {}

    made = await tell(side.kms("CreateKey", Description="bench"))
    key = str(dict(made["KeyMetadata"])["KeyId"])  # type: ignore[call-overload]
    plain = base64.b64encode(os.urandom(4096)).decode()
    encrypt = side.kms("Encrypt", KeyId=key, Plaintext=plain, EncryptionContext=CONTEXT)
    sealed = (await tell(encrypt))["CiphertextBlob"]
    bucket = f"/bench-{time.time_ns()}"
    await tell(side.signed("s3", "PUT", bucket, b""))
    await tell(side.signed("s3", "PUT", f"{bucket}/object", b"x" * 1000))
    token = str(uuid4())
    secret = {"Name": f"bench-{token}", "SecretString": "s" * 64, "ClientRequestToken": token}
    await tell(side.secrets("CreateSecret", **secret))
    connection.close()
    return {
        "GenerateDataKey": side.kms("GenerateDataKey", KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT),
        "Encrypt of 4 KiB": encrypt,
        "Decrypt of 4 KiB": side.kms("Decrypt", CiphertextBlob=sealed, EncryptionContext=CONTEXT),
        "S3 HEAD of an object": side.signed("s3", "HEAD", f"{bucket}/object", b""),
        "GetSecretValue": side.secrets("GetSecretValue", SecretId=secret["Name"]),
    }


async def _rate(side: Side, request: bytes, seconds: float) -> float:
    return await driven([await side.connect() for _ in range(CLIENTS)], [lambda: request] * CLIENTS, seconds)


async def _measured(ours: Side, theirs: Side, seconds: float) -> list[Verdict]:
    mine, peers = await prepared(ours), await prepared(theirs)
    verdicts = []
    for what, target in TARGETS.items():
        pairs = [
            (await _rate(ours, mine[what], seconds), await _rate(theirs, peers[what], seconds)) for _ in range(ROUNDS)
        ]
        found = median(each for each, _ in pairs), median(each for _, each in pairs)
        verdicts.append(ratio(f"{what}, {CLIENTS} connections, against an emulator in memory", *found, target=target))
    return verdicts


async def _signing(ours: Side, seconds: float) -> list[Verdict]:
    """Beside the library itself, in one process and without anybody who asks."""
    connection, verdicts = await ours.connect(), []
    for spec, algorithm in (("RSA_2048", "RSASSA_PSS_SHA_256"), ("ECC_NIST_P256", "ECDSA_SHA_256")):
        answer = await connection.ask(ours.kms("CreateKey", KeySpec=spec, KeyUsage="SIGN_VERIFY"))
        key = json.loads(answer.partition(b"\r\n\r\n")[2])["KeyMetadata"]["KeyId"]
        message = base64.b64encode(MESSAGE).decode()
        request = ours.kms("Sign", KeyId=key, Message=message, SigningAlgorithm=algorithm)
        rate, raw = await _rate(ours, request, seconds), _raw_rate(spec, algorithm, seconds)
        verdicts.append(ratio(f"Sign with {spec}, {CLIENTS} connections, against the library alone", rate, raw))
    connection.close()
    return verdicts


def _raw_rate(spec: str, algorithm: str, seconds: float) -> float:
    key, made, started = private_key(spec, new_material(spec)), 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        sign(key, algorithm, MESSAGE, "RAW")
        made += 1
    return made / passed


@contextmanager
def an_emulator() -> Iterator[Side]:
    """ministack, on the loopback only. Its server would end a connection after a thousand requests."""
    port = a_port()
    quiet = {**os.environ, "GATEWAY_PORT": str(port), "LOG_LEVEL": "ERROR"}
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write("keep_alive_max_requests = 1000000000\n")
        config.flush()
        server = [str(PEERS), "-m", "hypercorn", "--config", config.name]
        command = [*server, "ministack.app:app", "--bind", f"127.0.0.1:{port}"]
        child = subprocess.Popen(command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        side = Side(port, Credentials("test", "test"))
        try:
            asyncio.run(_until_open(side))
            yield side
        finally:
            child.terminate()
            child.wait()


async def _until_open(side: Side) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            (await side.connect()).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


def start_secrets(cloud: Cloud) -> None:
    """The service that sleeps until the first request: it runs from here on."""
    spec = {"managed": "secrets_manager", "activation": "always"}
    wanted = {"metadata": {"name": "secrets-manager"}, "spec": spec}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"apiVersion": "aerekos.cloud/v1", "kind": "Service", **wanted}, file)
        file.flush()
        cloud.do("apply", "-f", file.name)
    cloud.do("wait", "service", "secrets-manager", "--for", "condition=Ready")


def measure(cloud: Cloud, seconds: float = 3.0) -> list[Verdict]:
    """KMS, S3 and secrets; beside the peer, where there is one."""
    start_secrets(cloud)
    told = dict(line.removeprefix("export ").rstrip(";").split("=", 1) for line in exports(cloud.do("env")))
    ours = Side(
        cloud.port, Credentials(told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"].strip("'\"")), cloud.ca
    )
    signing = uvloop.run(_signing(ours, seconds))
    if not PEERS.exists():
        return signing
    with an_emulator() as theirs:
        return uvloop.run(_measured(ours, theirs, seconds)) + signing


def exports(text: str) -> list[str]:
    """The lines that set a variable."""
    return [line for line in text.splitlines() if line.startswith("export ")]


def main() -> None:
    with a_cloud() as cloud:
        print(table(measure(cloud, float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)))


if __name__ == "__main__":
    main()
