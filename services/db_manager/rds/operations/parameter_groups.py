"""RDS operations about DB parameter groups."""

from __future__ import annotations

from typing import Any

from services.db_manager.rds import errors
from services.db_manager.rds.group_store import GroupStore, group_arn
from services.db_manager.rds.instance_request import given_tags
from services.db_manager.rds.pages import PAGED, filtered, page
from services.db_manager.rds.parameter_group import (
    DATABASE_PARAMETER_GROUP,
    DatabaseParameterGroup,
    DatabaseParameterGroupSpec,
    GroupParameter,
)
from services.db_manager.rds.parameter_values import (
    parameter_view,
    require_method,
    require_modifiable,
    require_value,
    setting_named,
)
from services.db_manager.rds.settings_table import Setting, families, settings_of
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
_NAME, _FAMILY = "DBParameterGroupName", "DBParameterGroupFamily"
_MOST_AT_ONCE = 20
_SOURCES = {"user": ("user",), "engine-default": ("engine-default",), "system": ()}


class ParameterGroupOperations:
    """One declared method per operation."""

    def __init__(self, groups: GroupStore) -> None:
        self._groups = groups

    @operation(
        "CreateDBParameterGroup",
        permission=("create", DATABASE_PARAMETER_GROUP),
        understands=(_NAME, _FAMILY, "Description", "Tags"),
    )
    async def create_db_parameter_group(self, call: RequestContext, request: Json) -> Json:
        if not request["Description"]:
            raise errors.invalid_value("The parameter Description must be provided and must not be blank.")
        spec = DatabaseParameterGroupSpec(
            family=_family(request),
            region=call.region,
            description=request["Description"][:255],
            tags=given_tags(request),
        )
        made = await self._groups.create(call, request[_NAME], spec, request)
        return {"DBParameterGroup": _group_view(call, made)}

    @operation(
        "DescribeDBParameterGroups", permission=("list", DATABASE_PARAMETER_GROUP), understands=(_NAME, *PAGED)
    )
    async def describe_db_parameter_groups(self, call: RequestContext, request: Json) -> Json:
        if name := request.get(_NAME):
            found = [await self._groups.resolve(call, name, request)]
        else:
            await self._groups.require_all(call, request)
            found = await self._groups.all(call)
        found = filtered(found, request, {})
        shown, more = page(
            call, request, found, lambda each: each.metadata.name, lambda each: _group_view(call, each)
        )
        return {"DBParameterGroups": shown, **more}

    @operation(
        "ModifyDBParameterGroup", permission=("patch", DATABASE_PARAMETER_GROUP), understands=(_NAME, "Parameters")
    )
    async def modify_db_parameter_group(self, call: RequestContext, request: Json) -> Json:
        found = await self._groups.resolve(call, request[_NAME], request)
        wanted = _wanted_parameters(request, settings_of(found.spec.family))

        def change(spec: DatabaseParameterGroupSpec) -> None:
            spec.parameters = {**spec.parameters, **wanted}

        await self._groups.change(call, found, request, change)
        return {_NAME: found.metadata.name}

    @operation(
        "ResetDBParameterGroup",
        permission=("patch", DATABASE_PARAMETER_GROUP),
        understands=(_NAME, "ResetAllParameters", "Parameters"),
    )
    async def reset_db_parameter_group(self, call: RequestContext, request: Json) -> Json:
        found = await self._groups.resolve(call, request[_NAME], request)
        settings = settings_of(found.spec.family)
        everything = bool(request.get("ResetAllParameters"))
        if everything == bool(request.get("Parameters")):
            raise errors.invalid_combination("Give either ResetAllParameters or Parameters.")
        named = {each["ParameterName"]: _reset(each, settings) for each in _named(request)}

        def change(spec: DatabaseParameterGroupSpec) -> None:
            wanted = {name: _reset_of(settings, name) for name in spec.parameters} if everything else named
            spec.parameters = {**spec.parameters, **wanted}

        await self._groups.change(call, found, request, change)
        return {_NAME: found.metadata.name}

    @operation("DeleteDBParameterGroup", permission=("delete", DATABASE_PARAMETER_GROUP), understands=(_NAME,))
    async def delete_db_parameter_group(self, call: RequestContext, request: Json) -> None:
        found = await self._groups.resolve(call, request[_NAME], request)
        await self._groups.delete(call, found, request)

    @operation(
        "DescribeDBParameters", permission=("get", DATABASE_PARAMETER_GROUP), understands=(_NAME, "Source", *PAGED)
    )
    async def describe_db_parameters(self, call: RequestContext, request: Json) -> Json:
        found = await self._groups.resolve(call, request[_NAME], request)
        chosen = found.spec.parameters
        rows = [parameter_view(each, chosen.get(each.name)) for each in settings_of(found.spec.family).values()]
        if source := request.get("Source"):
            if source not in _SOURCES:
                raise errors.invalid_value(f"Invalid source: {source}; it is one of {', '.join(_SOURCES)}")
            rows = [each for each in rows if each["Source"] in _SOURCES[source]]
        shown, more = _parameter_page(call, request, rows)
        return {"Parameters": shown, **more}

    @operation(
        "DescribeEngineDefaultParameters",
        permission=("list", DATABASE_PARAMETER_GROUP),
        understands=(_FAMILY, *PAGED),
    )
    async def describe_engine_default_parameters(self, call: RequestContext, request: Json) -> Json:
        await self._groups.require_all(call, request)
        family = _family(request)
        rows = [parameter_view(each, None) for each in settings_of(family).values()]
        shown, more = _parameter_page(call, request, rows)
        return {"EngineDefaults": {_FAMILY: family, "Parameters": shown, **more}}


def _family(request: Json) -> str:
    """Raises InvalidParameterValue."""
    family = str(request[_FAMILY])
    if family not in families():
        raise errors.invalid_value(f"ParameterGroupFamily {family} is not a valid parameter group family")
    return family


def _group_view(call: RequestContext, group: DatabaseParameterGroup) -> Json:
    return {
        _NAME: group.metadata.name,
        _FAMILY: group.spec.family,
        "Description": group.spec.description,
        "DBParameterGroupArn": group_arn(call, group),
    }


def _parameter_page(call: RequestContext, request: Json, rows: list[Json]) -> tuple[list[Any], Json]:
    tests = {"parameter-name": lambda row, value: row["ParameterName"] == value}
    found = filtered(rows, request, tests)
    return page(call, request, found, lambda row: str(row["ParameterName"]), lambda row: row)


def _named(request: Json) -> list[Json]:
    """Raises InvalidParameterValue for too many, InvalidParameterCombination for one without a name."""
    given = list(request.get("Parameters") or ())
    if len(given) > _MOST_AT_ONCE:
        raise errors.invalid_value(f"At most {_MOST_AT_ONCE} parameters can be changed at once")
    if not all(each.get("ParameterName") for each in given):
        raise errors.invalid_combination("Every parameter needs a ParameterName.")
    return given


def _wanted_parameters(request: Json, settings: dict[str, Setting]) -> dict[str, GroupParameter]:
    """Raises InvalidParameterValue, InvalidParameterCombination."""
    wanted: dict[str, GroupParameter] = {}
    for each in _named(request):
        setting, method = setting_named(settings, each["ParameterName"]), each.get("ApplyMethod")
        require_modifiable(setting)
        if each.get("ParameterValue") is None or not method:
            raise errors.invalid_combination(f"{setting.name} needs a ParameterValue and an ApplyMethod.")
        require_method(setting, method)
        require_value(setting, each["ParameterValue"])
        wanted[setting.name] = GroupParameter(value=each["ParameterValue"], apply_method=method)
    if not wanted:
        raise errors.missing("The request must contain the parameter Parameters")
    return wanted


def _reset(each: Json, settings: dict[str, Setting]) -> GroupParameter:
    """Raises InvalidParameterValue, InvalidParameterCombination."""
    setting = setting_named(settings, each["ParameterName"])
    method = each.get("ApplyMethod") or ("pending-reboot" if setting.at_start else "immediate")
    require_method(setting, method)
    return GroupParameter(apply_method=method)


def _reset_of(settings: dict[str, Setting], name: str) -> GroupParameter:
    at_start = name in settings and settings[name].at_start
    return GroupParameter(apply_method="pending-reboot" if at_start else "immediate")
