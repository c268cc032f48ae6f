"""One call of an AWS tool is one trace: the gateway, the service, and what that one asks in turn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from clouds import Cloud, a_port
from collector import CollectedSpan, Collector


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector().running() as running:
        yield running


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("traced") / "home", a_port())
    said = running.command("up", AEREKOS_OTLP_ENDPOINT=collector.url)
    assert said.code == 0, said
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


def way_up(span: CollectedSpan, spans: list[CollectedSpan]) -> list[str]:
    """From that span to the first of its trace that has come, as `service: name`."""
    by_id = {each.id: each for each in spans if each.trace == span.trace}
    way, here = [f"{span.service}: {span.name}"], span
    while here.parent in by_id:
        here = by_id[here.parent]
        way.append(f"{here.service}: {here.name}")
    return way


def the_span(spans: list[CollectedSpan], service: str, name: str) -> CollectedSpan | None:
    """The newest of that name whose trace has come whole: its first span ends last."""
    for span in reversed(spans):
        if (span.service, span.name) == (service, name):
            whole = any(each.trace == span.trace and not each.parent for each in spans)
            return span if whole else None
    return None


def test_a_call_of_a_key_is_one_trace(cloud: Cloud, collector: Collector) -> None:
    key = cloud.kms("create-key")["KeyMetadata"]["KeyId"]
    cloud.kms("encrypt", "--key-id", key, "--plaintext", "c2VjcmV0")
    spans = collector.wait_for(lambda spans: the_span(spans, "key-manager", "kms:Encrypt"))
    encrypt = the_span(spans, "key-manager", "kms:Encrypt")
    assert encrypt is not None
    assert way_up(encrypt, spans) == [
        "key-manager: kms:Encrypt",
        "aerekos-gateway: gateway",
        "aerekos-gateway: POST aws",
    ]
    assert encrypt.attributes["http.response.status_code"] == 200
    request = next(each for each in spans if each.trace == encrypt.trace and not each.parent)
    # The same id as in the log and in the audit log.
    assert request.attributes["aerekos.request_id"] == encrypt.attributes["aerekos.request_id"]
    assert "c2VjcmV0" not in repr(spans)


def test_what_a_service_asks_for_a_call_belongs_to_it(cloud: Cloud, collector: Collector, tmp_path: Path) -> None:
    """An object is encrypted with a data key: storage_manager asks key_manager, through the gateway again."""
    file = tmp_path / "file"
    file.write_bytes(b"x" * 1000)
    assert cloud.aws("s3", "mb", "s3://traced").code == 0
    assert cloud.aws("s3", "cp", str(file), "s3://traced/file").code == 0
    put = ["storage-manager: s3:PutObject", "aerekos-gateway: gateway", "aerekos-gateway: PUT aws"]
    asked = ["key-manager: kms:GenerateDataKey", "aerekos-gateway: gateway", "aerekos-gateway: POST gateway"]

    def ways(spans: list[CollectedSpan]) -> list[list[str]]:
        return [way_up(each, spans) for each in spans if each.name in ("s3:PutObject", "kms:GenerateDataKey")]

    spans = collector.wait_for(lambda spans: put in ways(spans) and [*asked, *put] in ways(spans))
    assert b"x" * 100 not in repr(spans).encode()


def test_a_write_is_followed_to_its_commit_and_the_pass_to_its_own(cloud: Cloud, collector: Collector) -> None:
    with cloud.http() as client:
        made = client.post(
            "/api/v1/namespaces", json={"metadata": {"name": "traced"}}, headers={"traceparent": GIVEN}
        )
    assert made.status_code == 201

    def commits(spans: list[CollectedSpan]) -> list[CollectedSpan]:
        return [each for each in spans if each.name == "store batch"]

    def found(spans: list[CollectedSpan]) -> bool:
        passes = {each.id for each in spans if each.attributes.get("aerekos.key") == "traced"}
        given = [each for each in spans if each.trace == GIVEN[3:35]]
        return any(each.parent in passes for each in commits(spans)) and {"store batch", "POST conductor"} <= {
            each.name for each in given
        }

    spans = collector.wait_for(found)
    request = next(each for each in spans if each.trace == GIVEN[3:35] and each.name == "POST resources")
    carried = next(each for each in spans if each.trace == GIVEN[3:35] and each.name == "POST conductor")
    assert (request.parent, carried.service) == (carried.id, "aerekos-gateway")
    assert carried.parent == GIVEN[36:52]  # the client's own span
    assert [each.parent for each in commits(spans) if each.trace == GIVEN[3:35]] == [request.id]
    first = next(each for each in spans if each.attributes.get("aerekos.key") == "traced")
    assert (first.name, first.parent) == ("reconcile namespaces", "")


def test_passes_of_a_service_are_traced_into_the_conductor(cloud: Cloud, collector: Collector) -> None:
    def found(spans: list[CollectedSpan]) -> bool:
        passes = {each.id for each in spans if each.service == "key-manager" and each.name == PASS}
        carried = {each.id for each in spans if each.parent in passes and each.service == "aerekos-gateway"}
        return any(each.parent in carried and each.service == "aerekos-conductor" for each in spans)

    cloud.kms("create-key")
    collector.wait_for(found)


PASS = "reconcile keys.aerekos.cloud"
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
