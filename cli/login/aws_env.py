"""The environment AWS tools need to speak to this cloud: `aerekos env`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from cli.api_client import ApiClient
from cli.login.contexts import Context
from controller.main.errors import Misuse, UserError
from controller.main.settings import Settings

FORMATS = ("sh", "fish", "json")
NAMES = (
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
)
# Of another account: with it, no request of ours would have a right signature.
FOREIGN = "AWS_SESSION_TOKEN"


def aws_variables(api: ApiClient, ca_file: Path) -> dict[str, str]:
    """The variables the aws CLI and every AWS SDK read. Both names of the region: some read one, some the other.

    Node trusts no bundle it is given for AWS alone, so its own variable names the CA too.
    """
    key = api.get("/auth/access-key", headers=as_somebody(api))
    values = (api.server, key["accessKeyId"], key["secretAccessKey"], key["region"], key["region"], ca_file, ca_file)
    return {name: str(value) for name, value in zip(NAMES, values, strict=True)}


def as_somebody(api: ApiClient) -> dict[str, str]:
    """Access keys belong to users. The local admin is a certificate, so it takes the first admin's keys."""
    if api.context is not None:
        return {}
    users = api.get("/apis/aerekos.cloud/v1/users")["items"]
    for user in users:
        if "admin" in user["spec"]["roles"] and not user["spec"].get("disabled"):
            return {"impersonate-user": user["metadata"]["name"]}
    raise UserError("no user is an admin, so there is no access key", hint="aerekos user create NAME --role admin")


def ca_file(settings: Settings, context: Context | None) -> Path:
    """A file with the CA. A login's CA is written beside the context, for AWS tools want a path."""
    if context is None or not context.ca:
        return settings.tls / "ca.crt"
    import hashlib

    from cli.login.contexts import context_file
    from controller.kit.files import write_whole

    name = hashlib.sha256(context.ca.encode()).hexdigest()[:12]
    file = context_file().with_name(f"ca-{name}.crt")
    if not file.exists():
        write_whole(file, context.ca.encode())
    return file


def as_lines(variables: dict[str, str], form: str, *, wraps_aws: bool = False) -> str:
    """Ready for `eval`, for fish's `source`, or for a program. Raises Misuse.

    Each line ends with a semicolon: in `eval $(aerekos env)` the shell makes one line of all. `wraps_aws`: with a
    function that gives an old aws CLI the address as an argument, for it does not read the variable.
    """
    check_format(form)
    if form == "json":
        return json.dumps(variables, indent=2)
    if form == "sh":
        lines = [f"export {name}={shlex.quote(value)};" for name, value in variables.items()]
        wrapper = 'aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; };'
        return "\n".join([*lines, f"unset {FOREIGN};", *([wrapper] if wraps_aws else [])])
    lines = [f"set -gx {name} {shlex.quote(value)};" for name, value in variables.items()]
    wrapper = "function aws; command aws --endpoint-url $AWS_ENDPOINT_URL $argv; end;"
    return "\n".join([*lines, f"set -e {FOREIGN};", *([wrapper] if wraps_aws else [])])


def unset_lines(form: str, names: Sequence[str] = NAMES) -> str:
    """The way back: what `as_lines` set is gone, of these names. Raises Misuse."""
    check_format(form)
    if form == "fish":
        return f"set -e {' '.join(names)};\nfunctions -e aws;"
    if form == "json":
        raise Misuse("--unset has no JSON", hint="--format sh or fish")
    return f"unset {' '.join(names)};\nunset -f aws 2>/dev/null || :;"


def check_format(form: str) -> None:
    """Raises Misuse for one we cannot print."""
    if form not in FORMATS:
        raise Misuse(f'--format: "{form}" is not known', hint=f"one of {', '.join(FORMATS)}")
