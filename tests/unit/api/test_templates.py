"""Templates: each one is a Service that this cloud takes, and what is wrong with a filling is said field by field."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.api.components import House

from api.auth.principal import AUTHENTICATED, Principal
from api.rest import rest_app
from api.templates.routes import template_routes
from api.templates.template import Parameter, Template, template, templates
from crds.errors import Invalid, NotFound
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE, Service

KINDS = {each.name: each for each in (SERVICE, CONFIG_MAP, SECRET)}
NAMES = [each.name for each in templates()]


def made_of(**parts: object) -> Template:
    said = {"version": 1, "name": "x", "title": "x", "description": "x", "runtimes": ["process"], **parts}
    return Template.model_validate(said)


def service_of(name: str, **given: object) -> Service:
    items = template(name).render("mine", "team-a", given)
    return next(Service.model_validate(each) for each in items if each["kind"] == "Service")


def test_the_ones_promised_are_there() -> None:
    assert NAMES == ["cache", "database", "nginx", "postgres", "python-web", "static-site", "valkey", "worker-loop"]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_taken_by_the_kinds_it_makes_with_nothing_but_a_name(name: str) -> None:
    items = template(name).render("mine", "team-a", {})
    for item in items:
        KINDS[item["kind"]].model.model_validate(item)
        assert item["metadata"]["namespace"] == "team-a" and item["metadata"]["name"].startswith("mine")
    service = service_of(name)
    of_the_machine = service.spec.is_program or service.spec.engine is not None
    assert of_the_machine == (template(name).runtimes == ["process"])
    assert service.spec.resources.limits.memory, "nothing is offered without a limit"
    assert items[-1]["kind"] == "Service", "what it needs is made before it"


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_service_takes_from_elsewhere_comes_along(name: str) -> None:
    items = template(name).render("mine", "team-a", {})
    held = {
        (each["kind"], each["metadata"]["name"], key)
        for each in items
        for key in (each.get("data") or each.get("stringData") or {})
    }
    spec = service_of(name).spec
    asked = [("ConfigMap", each.config_map.name, each.config_map.key) for each in spec.files if each.config_map]
    sources = [each.value_from.secret_key_ref for each in spec.env if each.value_from]
    asked += [("Secret", each.name, each.key) for each in sources if each]
    assert set(asked) == held


def test_passwords_are_made_up_anew_each_time_or_taken_as_they_are() -> None:
    first, second = (template("postgres").render("db", "default", {})[0]["stringData"]["password"] for _ in "12")
    assert first != second and len(first) >= 32
    said = template("postgres").render("db", "default", {"password": "given"})
    assert said[0]["stringData"]["password"] == "given"


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        template("static-site").render("Not A Name", "", {"replicas": "many", "colour": "red"})
    assert [each.field for each in refused.value.causes] == [
        "name", "namespace", "parameters.colour", "parameters.replicas",
    ]  # fmt: skip
    assert "it has: page, replicas" in str(refused.value)
    with pytest.raises(NotFound, match=r'no template "cobol"; there are: cache'):
        template("cobol")


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_no_value_becomes_anything_but_that_text(text: str) -> None:
    """Neither YAML nor another parameter's place."""
    fields = [{"name": "a", "title": "A", "multiline": True}, {"name": "b", "title": "B", "default": "b"}]
    made = made_of(parameters=fields, manifests=[{"whole": "${a}", "part": "<${a}|${b}|$${a}>"}])
    if not text:
        return
    assert made.render("n", "d", {"a": text}) == [{"whole": text, "part": f"<{text}|b|${{a}}>"}]


@pytest.mark.parametrize("value", [0, 11, "0", "11", "1e3", " 5", "-1", True, None])
def test_numbers_keep_to_their_bounds(value: object) -> None:
    number = Parameter(name="n", title="N", type="integer", minimum=1, maximum=10)
    with pytest.raises(ValueError, match=r"required|from 1 to 10"):
        number.taken(value)
    assert [number.taken(each) for each in (1, "10")] == [1, 10]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"manifests": [{"x": "${nobody}"}]}, "no parameter for nobody"),
        ({"manifests": [{"x": ""}], "parameters": [{"name": "a", "title": ""}]}, "no place for a"),
        ({"manifests": [{"x": "${name}"}], "parameters": [{"name": "name", "title": ""}]}, "leave them out"),
        ({"manifests": []}, "at least 1"),
        ({"manifests": [{}], "version": 2}, "version"),
    ],
)
def test_a_template_that_does_not_fit_together_is_none(parts: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        made_of(**parts)


@pytest.mark.anyio
async def test_the_route_lists_and_fills_them(house: House) -> None:
    await house.add_user("viewer", "viewer")
    headers = house.bearer(Principal("viewer", frozenset({"aerekos:viewer", AUTHENTICATED})))
    app = rest_app([template_routes(frozenset({"process"}), house.authenticator)])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://cloud.test", headers=headers) as client:
        answer = await client.get("/templates")
        assert answer.status_code == 200, answer.text
        told = answer.json()
        by_name = {each["name"]: each for each in told["templates"]}
        assert by_name["static-site"]["runsHere"] and not by_name["static-site"]["because"]
        assert not by_name["nginx"]["runsHere"] and "start Docker" in by_name["nginx"]["because"]
        made = (await client.post("/templates/static-site", json={"name": "web"})).json()
        assert [each["kind"] for each in made["items"]] == ["ConfigMap", "Service"]
        wrong = await client.post("/templates/static-site", json={"name": "web", "parameters": {"x": "1"}})
        assert wrong.status_code == 422
        assert wrong.json()["details"]["causes"][0]["field"] == "parameters.x"
