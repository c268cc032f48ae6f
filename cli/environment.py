"""What AWS tools need to speak to this cloud: `aerekos env`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from cli.connecting import Api
from cli.contexts import Context
from cli.errors import CliError, Misuse
from cli.settings import Settings

FORMATS = ("sh", "fish", "json")


def aws_variables(api: Api, ca_file: Path) -> dict[str, str]:
    """The variables the aws CLI and every AWS SDK read."""
    key = api.get("/auth/access-key", headers=as_somebody(api))
    return {
        "AWS_ENDPOINT_URL": api.server,
        "AWS_ACCESS_KEY_ID": key["accessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["secretAccessKey"],
        "AWS_DEFAULT_REGION": key["region"],
        "AWS_CA_BUNDLE": str(ca_file),
    }


def as_somebody(api: Api) -> dict[str, str]:
    """Access keys belong to users. The local admin is a certificate, so it takes the first admin's keys."""
    if api.context is not None:
        return {}
    users = api.get("/apis/aerekos.cloud/v1/users")["items"]
    for user in users:
        if "admin" in user["spec"]["roles"] and not user["spec"].get("disabled"):
            return {"impersonate-user": user["metadata"]["name"]}
    raise CliError("no user is an admin, so there is no access key", hint="aerekos user create NAME --role admin")


def ca_file(settings: Settings, context: Context | None) -> Path:
    """A file with the CA. A login's CA is written beside the context, for AWS tools want a path."""
    if context is None or not context.ca:
        return settings.tls / "ca.crt"
    import hashlib

    from cli.contexts import context_file
    from controller.kit.files import write_whole

    name = hashlib.sha256(context.ca.encode()).hexdigest()[:12]
    file = context_file().with_name(f"ca-{name}.crt")
    if not file.exists():
        write_whole(file, context.ca.encode())
    return file


def as_lines(variables: dict[str, str], form: str) -> str:
    """Ready for `eval`, for fish's `source`, or for a program. Raises Misuse."""
    if form == "json":
        return json.dumps(variables, indent=2)
    if form == "sh":
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    if form == "fish":
        return "\n".join(f"set -gx {name} {shlex.quote(value)};" for name, value in variables.items())
    raise Misuse(f'--format: "{form}" is not known', hint=f"one of {', '.join(FORMATS)}")
