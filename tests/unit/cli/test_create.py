"""`aerekos create service`: what is typed becomes manifests that the kinds take; what makes no sense is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.templates.template import template, templates
from cli.main import run
from cli.resources import create
from cli.resources.create import CreateOptions
from controller.main.errors import Misuse
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.service import Service
from tests.unit.cli.conftest import Cloud, status

SERVICES = "/apis/aerekos.cloud/v1/namespaces/default/services"


def typed(**said: Any) -> list[dict[str, Any]]:
    wanted = CreateOptions("web", "default", **said)
    create.check(wanted)
    made = create.typed(wanted)
    Service.model_validate(made[-1])
    for each in made[:-1]:
        CONFIG_MAP.model.model_validate(each)
    return made


def test_a_program_with_all_it_can_have(tmp_path: Path) -> None:
    (tmp_path / "site" / "deep").mkdir(parents=True)
    (tmp_path / "site" / "index.html").write_text("<h1>")
    (tmp_path / "site" / "deep" / "x.png").write_bytes(b"\x89PNG\xff")
    config, service = typed(
        command="python3 -u '/app/a b.py'",
        ports=["http=8080", "9090"],
        published=8081,
        env=["COLOUR=blue=ish", "EMPTY="],
        files=[f"{tmp_path}/site:/site"],
        volumes=["data:/data"],
        memory="64Mi",
    )
    assert service["spec"] == {
        "command": ["python3", "-u", "/app/a b.py"],
        "ports": [{"port": 8080, "name": "http", "published": 8081}, {"port": 9090}],
        "env": [{"name": "COLOUR", "value": "blue=ish"}, {"name": "EMPTY", "value": ""}],
        "files": [
            {"path": "/site/deep/x.png", "configMap": {"name": "web-files", "key": "site_deep_x.png"}},
            {"path": "/site/index.html", "configMap": {"name": "web-files", "key": "site_index.html"}},
        ],
        "volumes": [{"name": "data", "path": "/data"}],
        "resources": {"limits": {"memory": "64Mi"}},
    }
    assert config["data"] == {"site_index.html": "<h1>"} and set(config["binaryData"]) == {"site_deep_x.png"}


def test_an_image_and_what_it_starts() -> None:
    (service,) = typed(image="nginx:1", command="nginx -g 'daemon off;'", replicas=2)
    assert service["spec"] == {"image": "nginx:1", "command": ["nginx", "-g", "daemon off;"], "replicas": 2}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, "what shall run"),
        ({"template": "x", "image": "y"}, "--template and --image contradict"),
        ({"template": "x", "ports": ["80"], "env": ["A=b"]}, "takes no --port, --env"),
        ({"image": "x", "values": ["a=b"]}, "--set and --set-file are for templates"),
        ({"command": "'"}, "--command"),
        ({"command": "x", "ports": ["http"]}, "--port http: is no number"),
        ({"command": "x", "published": 8080}, "--publish needs a --port"),
        ({"command": "x", "env": ["A"]}, "--env A: is no NAME=VALUE"),
        ({"command": "x", "volumes": ["data"]}, "--volume data"),
        ({"command": "x", "files": ["main.py"]}, "--file main.py: is no LOCAL:/PATH"),
        ({"command": "x", "files": ["/nowhere/main.py:/app/main.py"]}, "No such file"),
        ({"command": "x", "files": [f"{__file__}:/a/b", f"{__file__}:/a_b"]}, "two of them would be called a_b"),
    ],
)
def test_what_makes_no_sense_is_said_with_the_option(said: dict[str, Any], told: str) -> None:
    with pytest.raises(Misuse, match=told):
        typed(**said)


def test_too_many_bytes_for_a_config_map_are_told_where_to_go(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 1_000_001)
    with pytest.raises(Misuse, match="more than one ConfigMap holds"):
        typed(command="x", files=[f"{tmp_path}/big:/big"])


@pytest.fixture
def served(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """With the templates of the real cloud, and ConfigMaps."""
    from api.templates import routes
    from tests.unit.cli import conftest

    runtimes = frozenset({"process"})
    listed = {"templates": [routes._listed(each, runtimes) for each in templates()]}
    core = {"items": [conftest.group("", conftest.described("configmaps", "ConfigMap"))]}
    monkeypatch.setattr(conftest, "DISCOVERY", {**conftest.DISCOVERY, "/api": core, "/templates": listed})
    write = cloud._write

    def answer(request: Any, path: str) -> Any:
        import json

        import httpx

        if path.startswith("/templates/"):
            body = json.loads(request.content)
            items = template(path.rpartition("/")[2]).render(body["name"], body["namespace"], body["parameters"])
            return httpx.Response(200, json={"items": items})
        if request.url.params.get("dryRun"):
            return httpx.Response(200, json=json.loads(request.content))
        return write(request, path)

    monkeypatch.setattr(cloud, "_write", answer)
    return cloud


def test_from_a_template_all_is_judged_and_then_made(served: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["create", "service", "site", "--template", "static-site", "--set", "replicas=2"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == ["configmap/site-files created", "service/site created"]
    assert "/services/site/" in told.err
    assert served.resources[f"{SERVICES}/site"]["spec"]["replicas"] == 2


def test_a_dry_run_makes_nothing_and_prints_what_apply_takes(
    served: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page").write_text("<h1>mine</h1>")
    arguments = ["create", "service", "site", "--template", "static-site", "--set-file", f"page={tmp_path}/page"]
    assert run([*arguments, "--dry-run", "-o", "yaml"]) == 0
    config, service = yaml.safe_load_all(capsys.readouterr().out)
    assert config["data"]["index.html"] == "<h1>mine</h1>" and service["kind"] == "Service"
    assert served.writes == []


def test_a_template_that_cannot_run_here_says_why_and_can_still_be_had(
    served: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["create", "service", "web", "--template", "nginx"]) == 1
    assert "nginx cannot run here: it is a container: start Docker" in capsys.readouterr().err
    assert run(["create", "service", "web", "--template", "nginx", "--dry-run", "-o", "yaml"]) == 0
    assert "nginx:1.27-alpine" in capsys.readouterr().out
    assert served.writes == []


def test_an_engine_is_told_where_its_password_will_be(served: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["create", "service", "db", "--engine", "postgresql=15", "--port", "sql=5432", "--publish", "15432"]
    assert run(wanted) == 0
    told = capsys.readouterr().err
    assert "aerekos get secret db-superuser -o json" in told and "127.0.0.1:15432" in told and "HOST" not in told
    assert json.loads(served.writes[-1].content)["spec"]["engine"] == {"name": "postgresql", "version": "15"}


def test_an_unknown_template_names_those_there_are(served: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["create", "service", "web", "--template", "cobol"]) == 1
    assert "one of cache, database, nginx, postgres, python-web" in capsys.readouterr().err


def test_a_refusal_comes_before_anything_is_made(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []

    def refuse(request: Any) -> Any:
        import httpx

        from tests.unit.cli.conftest import DISCOVERY

        if request.method == "GET":
            return httpx.Response(200, json=DISCOVERY[request.url.path])
        asked.append(str(request.url.params.get("dryRun")))
        return status(422, "spec: a program cannot listen below 1024")

    cloud.refuse = refuse
    assert run(["create", "service", "web", "--command", "x", "--port", "80", "--publish", "80"]) == 1
    assert asked == ["All"] and "below 1024" in capsys.readouterr().err


def test_templates_are_listed_and_shown(served: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["templates"]) == 0
    listed = capsys.readouterr().out
    assert "static-site   yes" in listed and "nginx         no" in listed
    assert run(["templates", "postgres"]) == 0
    shown = capsys.readouterr().out
    assert "runs here: no: it is a container" in shown and "(made up)" in shown


def test_a_namespace_may_come_before_the_verb(served: Cloud) -> None:
    assert run(["-n", "acme", "create", "service", "web", "--image", "nginx:1"]) == 0
    assert "/apis/aerekos.cloud/v1/namespaces/acme/services/web" in served.resources
