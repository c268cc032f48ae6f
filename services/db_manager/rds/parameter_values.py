"""Parameters of a group as RDS takes and shows them. Pure.

Source: Amazon RDS API reference, Parameter; its answers as public tests recorded them.
"""

from __future__ import annotations

import re
from typing import Any

from services.db_manager.parameters import parameter_fault
from services.db_manager.rds import errors
from services.db_manager.rds.parameter_group import GroupParameter
from services.db_manager.rds.settings_table import Setting

Json = dict[str, Any]
_KINDS = {"bool": "boolean", "integer": "integer", "real": "float", "string": "string", "enum": "string"}
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_REAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?")
_BOOLEANS = ("0", "1", "on", "off", "true", "false", "yes", "no")


def setting_named(settings: dict[str, Setting], name: str) -> Setting:
    """Raises InvalidParameterValue for one that servers of that family do not have."""
    found = settings.get(name)
    if found is None:
        raise errors.invalid_value(f"Could not find parameter with name: {name}")
    return found


def require_modifiable(setting: Setting) -> None:
    """Raises InvalidParameterValue for what the cloud sets itself."""
    if fault := parameter_fault(setting.name, ""):
        raise errors.invalid_value(f"The parameter {setting.name} cannot be modified: {fault}.")


def require_value(setting: Setting, value: str) -> None:
    """Raises InvalidParameterValue for a value that no server takes, or that is a formula."""
    allowed = allowed_values(setting)
    if setting.kind == "bool":
        fits = value.lower() in _BOOLEANS
    elif setting.kind == "enum":
        fits = value.lower() in (each.lower() for each in setting.choices)
    elif setting.kind in ("integer", "real"):
        fits = _is_in_range(setting, value)
    else:
        fits = not parameter_fault(setting.name, value)
    if not fits:
        raise errors.invalid_value(
            f"Invalid parameter value: {value} for: {setting.name} allowed values are: {allowed}"
        )


def require_method(setting: Setting, method: str) -> None:
    """Raises InvalidParameterCombination: what counts at a start alone cannot be had at once."""
    if method == "immediate" and setting.at_start:
        raise errors.invalid_combination(f"cannot use immediate apply method for static parameter: {setting.name}")


def parameter_view(setting: Setting, chosen: GroupParameter | None) -> Json:
    """`chosen`: what the group says of it, if it does."""
    default_method = "pending-reboot" if setting.at_start else "immediate"
    said = chosen is not None and chosen.value is not None
    value = chosen.value if chosen is not None and said else setting.default
    shown = {
        "ParameterName": setting.name,
        "ParameterValue": value,
        "Description": setting.description,
        "Source": "user" if said else "engine-default",
        "ApplyType": "static" if setting.at_start else "dynamic",
        "DataType": _KINDS[setting.kind],
        "AllowedValues": allowed_values(setting),
        "IsModifiable": not parameter_fault(setting.name, ""),
        "ApplyMethod": chosen.apply_method if chosen is not None and said else default_method,
    }
    return {name: each for name, each in shown.items() if each != ""}


def allowed_values(setting: Setting) -> str:
    """`64-2147483647`, `0,1`, or words; empty for any text."""
    if setting.kind == "bool":
        return "0,1"
    if setting.kind == "enum":
        return ",".join(setting.choices)
    return f"{setting.least}-{setting.most}" if setting.least else ""


def _is_in_range(setting: Setting, value: str) -> bool:
    """Python's own reading of numbers takes more than a server does: `1_000`, digits of other scripts."""
    form = _REAL if setting.kind == "real" else _INTEGER
    return form.fullmatch(value) is not None and float(setting.least) <= float(value) <= float(setting.most)
