"""Invariants of Databases, whoever writes."""

from __future__ import annotations

from crds.invariants import Body, Transition, changed, on, spec_of
from crds.names import label_fault
from services.db_manager.names import LONGEST_NAME, LONGEST_NAME_WITH_MEMBERS, LONGEST_SQL_NAME, sql_name
from services.db_manager.parameters import members_fault
from services.db_manager.rds.settings_table import families, family_of, settings_of

_LASTING = ("engine", "database", "username", "restore")


@on("update")
def keeps_its_names(transition: Transition) -> None:
    """What its clients connect to stays what it is: the data of one engine is nothing to another, and a renamed owner
    would lose what they own.
    """
    for field in _LASTING:
        if changed(transition, field):
            raise transition.invalid(f"spec.{field}", "cannot be changed; make another Database and copy the data")


@on("update")
def keeps_its_archive(transition: Transition) -> None:
    """What is stored in one place does not go on in another."""
    before, after = (spec_of(each).get("backup") for each in (transition.before, transition.after))
    if before is not None and after is not None and before.get("bucket") != after.get("bucket"):
        raise transition.invalid("spec.backup.bucket", "cannot be changed; remove spec.backup, then set it anew")


@on("create")
def has_a_name_for_its_parts(transition: Transition) -> None:
    """Its server is a Service, whose name is a label of DNS: `<name>-0`."""
    name, spec = transition.key.name, spec_of(transition.after)
    if label_fault(name) or len(name) > LONGEST_NAME:
        text = f"must be at most {LONGEST_NAME} letters, digits and hyphens: its server is called {name}-0"
        raise transition.invalid("metadata.name", text)
    if len(sql_name(name)) > LONGEST_SQL_NAME and not (spec.get("database") and spec.get("username")):
        raise transition.invalid("spec.database", "is needed, and so is a username: the name is too long for SQL")


@on("create", "update")
def has_a_name_for_its_addresses(transition: Transition) -> None:
    """With members there are Services `<name>-rw` and `<name>-ro`."""
    name, spec = transition.key.name, spec_of(transition.after)
    if int(spec.get("members") or 1) > 1 and len(name) > LONGEST_NAME_WITH_MEMBERS:
        text = f"must be at most {LONGEST_NAME_WITH_MEMBERS} characters with members: they answer at {name}-rw"
        raise transition.invalid("metadata.name", text)


@on("create", "update")
def has_parameters_of_its_version(transition: Transition) -> None:
    """A server does not start with a name in its configuration that it does not know."""
    if transition.operation == "update" and not changed(transition, "parameters"):
        return
    spec = spec_of(transition.after)
    if spec.get("engine") != "postgresql":
        return
    require_known(transition, spec, family_of(str(spec.get("version") or "")))


@on("create", "update")
def has_parameters_that_keep_its_members(transition: Transition) -> None:
    """None of them takes back what members and durability promise."""
    fields = ("parameters", "members", "durability")
    if transition.operation == "update" and not any(changed(transition, each) for each in fields):
        return
    spec = spec_of(transition.after)
    if spec.get("engine") != "postgresql" or int(spec.get("members") or 1) == 1:
        return
    for name, value in (spec.get("parameters") or {}).items():
        if fault := members_fault(name, str(value), strict=spec.get("durability") == "strict"):
            raise transition.invalid("spec.parameters", fault)


def require_known(transition: Transition, spec: Body, family: str) -> None:
    """Raises Invalid for a parameter that servers of that family do not have; without one we know, that none has.
    Names with a dot are those of extensions.
    """
    known = [family] if family in families() else families()
    for name in spec.get("parameters") or ():
        if "." not in name and not any(name in settings_of(each) for each in known):
            which = f"PostgreSQL {family.removeprefix('postgres')}" if family in known else "PostgreSQL"
            raise transition.invalid("spec.parameters", f"{which} has no parameter {name}; leave it out")
