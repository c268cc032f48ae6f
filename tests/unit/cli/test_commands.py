"""What people type, what they see, and the code it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from cli.main import run
from tests.unit.cli.conftest import Cloud, status

BUCKET = """
apiVersion: aerekos.cloud/v1
kind: Bucket
metadata: {name: photos}
spec: {encryption: {enabled: true}}
"""
AT = "/apis/aerekos.cloud/v1/namespaces/default/buckets/photos"


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    file = tmp_path / "bucket.yaml"
    file.write_text(BUCKET)
    return str(file)


def test_apply_creates_then_leaves_alone_then_changes(
    cloud: Cloud, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["apply", "-f", bucket]) == 0
    assert run(["apply", "-f", bucket]) == 0
    assert len(cloud.writes) == 1
    Path(bucket).write_text(BUCKET.replace("true", "false"))
    assert run(["apply", "-f", bucket]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == [
        "created",
        "unchanged",
        "configured",
    ]
    assert cloud.resources[AT]["spec"]["encryption"]["enabled"] is False
    assert cloud.writes[0].url.params["fieldValidation"] == "Strict"


def test_one_bad_document_keeps_all_from_being_sent(
    cloud: Cloud, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(bucket).write_text(BUCKET + "---\nkind: Bucket\nmetadata: {name: 3}\n")
    assert run(["apply", "-f", bucket]) == 2
    told = capsys.readouterr().err
    assert f"{bucket}, document 2: apiVersion" in told
    assert "metadata.name" in told
    assert cloud.writes == []


def test_an_unknown_kind_is_found_before_anything_is_sent(
    cloud: Cloud, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(bucket).write_text(BUCKET + "---" + BUCKET.replace("Bucket", "Bukket"))
    assert run(["apply", "-f", bucket]) == 2
    assert "Bukket" in capsys.readouterr().err
    assert cloud.writes == []


def test_a_refusal_names_file_and_field_and_ends_with_1(
    cloud: Cloud, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    normal = cloud.answer

    def refuse(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return status(422, "Bucket is invalid", {"field": "spec.encryption", "message": "no"})
        cloud.refuse = None
        answer = normal(request)
        cloud.refuse = refuse
        return answer

    cloud.refuse = refuse
    assert run(["apply", "-f", bucket]) == 1
    told = capsys.readouterr().err
    assert bucket in told
    assert "spec.encryption: no" in told


def test_delete_waits_until_it_is_gone(cloud: Cloud, bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(["apply", "-f", bucket])
    assert run(["delete", "bucket", "photos"]) == 0
    assert AT not in cloud.resources
    assert run(["delete", "bucket", "photos"]) == 1
    assert run(["delete", "bucket", "photos", "--ignore-not-found"]) == 0


@pytest.mark.parametrize("word", ["services", "service", "asvc", "Service", "services.aerekos.cloud", "all"])
def test_a_kind_answers_to_all_its_names(cloud: Cloud, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    items = [{"metadata": {"name": "key-manager"}}]
    cloud.resources["/apis/aerekos.cloud/v1/namespaces/default/services"] = {"items": items}
    assert run(["get", word, "-o", "name"]) == 0
    assert capsys.readouterr().out == "service/key-manager\n"


def test_json_of_one_name_is_that_object(cloud: Cloud, bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(["apply", "-f", bucket])
    capsys.readouterr()
    assert run(["get", "bucket", "photos", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["name"] == "photos"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["get", "unicorns"], 2),
        (["get", "buckets", "-o", "xml"], 2),
        (["get"], 2),
        (["nonsense"], 2),
        (["apply"], 2),
        (["apply", "-f", "/does/not/exist"], 2),
        (["scale", "x", "--replicas", "-1"], 2),
        (["get", "bucket", "missing"], 1),
        (["--help"], 0),
    ],
)
def test_exit_codes(cloud: Cloud, arguments: list[str], code: int) -> None:
    assert run(arguments) == code


def test_nobody_there_is_3_and_status_is_still_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AEREKOS_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert run(["status", "-o", "json"]) == 3
    seen = capsys.readouterr()
    assert json.loads(seen.out)["ready"] is False
    assert "aerekos up" in seen.err


def test_down_without_a_cloud_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AEREKOS_HOME", str(tmp_path))
    assert run(["down"]) == 0
    assert "nothing runs" in capsys.readouterr().out


def test_a_broken_settings_file_is_misuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("port = [")
    monkeypatch.setenv("AEREKOS_HOME", str(tmp_path))
    assert run(["up"]) == 2


def test_interrupting_is_130(cloud: Cloud) -> None:
    def interrupt(_: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    cloud.refuse = interrupt
    assert run(["get", "buckets"]) == 130
