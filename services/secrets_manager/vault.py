"""HashiCorp Vault's KV version 2, for reading: `hvac` finds the secrets of the account in a mount.

    GET  /v1/secret/data/<name>?version=2      the current value, or that of a version
    GET  /v1/secret/metadata/<name>            its versions
    GET  /v1/secret/metadata/<folder>?list=true    names; what lies deeper as `folder/`
    GET  /v1/auth/token/lookup-self            whose token it is

The token is the one of this cloud, in `X-Vault-Token` (the gateway takes it there) or as a bearer. Rights are those
of GetSecretValue, DescribeSecret and ListSecrets. Whatever writes is refused: that is done by the AWS API. The method
LIST, which is none of HTTP's, does not get through this cloud's servers.

Source: HashiCorp Vault documentation, "KV secrets engine version 2 (API)".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from crds.errors import ApiError
from crds.model import rfc3339
from services.sdk.asgi import Receive, Scope, Send, note_action, send_json
from services.sdk.aws.accounts import account_of
from services.sdk.aws.authentication import AwsAuthenticator
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import Operation, RequestContext
from services.sdk.permissions import GuardedApp, Permission
from services.secrets_manager.attribution import secret_of
from services.secrets_manager.envelope import SecretValue
from services.secrets_manager.errors import as_secrets_error
from services.secrets_manager.kinds import MANAGED_SECRET, VersionStatus
from services.secrets_manager.operations.secret_access import SecretAccess, require_live
from services.secrets_manager.secret import FoundSecret

Json = dict[str, Any]
PREFIX = "/v1/"
MOUNT = "secret"
_LOOKUP = "/v1/auth/token/lookup-self"
_READ = Operation("GetSecretValue", Permission("use", MANAGED_SECRET), None)
_DESCRIBE = Operation("DescribeSecret", Permission("get", MANAGED_SECRET), None)
_LIST = Operation("ListSecrets", Permission("list", MANAGED_SECRET), None)
_OPERATIONS = {"data": _READ, "metadata": _DESCRIBE}
_QUERY = {"data": frozenset({"version"}), "metadata": frozenset({"list"})}


class VaultError(Exception):
    """An answer that is not a success, in Vault's form."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.status, self.errors = status, list(errors)


class _Asked(NamedTuple):
    """What a path says."""

    operation: Operation
    name: str
    query: Mapping[str, str]


class VaultKv:
    """ASGI. What is no path of Vault's goes to `then`."""

    def __init__(self, secrets: SecretAccess, authenticator: AwsAuthenticator, then: GuardedApp) -> None:
        self._secrets, self._authenticator, self._then = secrets, authenticator, then

    def permissions(self) -> dict[str, Permission | None]:
        """As `GuardedApp`."""
        return {
            **self._then.permissions(),
            "GET /v1/secret/data/{name}": _READ.permission,
            "GET /v1/secret/metadata/{name}": _DESCRIBE.permission,
            "GET /v1/secret/metadata/?list=true": _LIST.permission,
            f"GET {_LOOKUP}": None,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(PREFIX):
            await self._then(scope, receive, send)
            return
        try:
            status, body = 200, await self._answer(scope)
        except (AwsError, ApiError) as error:
            known = as_secrets_error(error) if isinstance(error, ApiError) else error
            status, body = _refused(scope, known)
        except VaultError as error:
            status, body = error.status, {"errors": error.errors}
        await send_json(send, status, body)

    async def _answer(self, scope: Scope) -> Json:
        if scope["path"] == _LOOKUP and scope["method"] == "GET":
            note_action(scope, "vault:lookup-self")
            return _wrapped(scope, _lookup(scope))
        asked = _asked(scope)
        call = await self._call(scope, asked.operation)
        request = {"SecretId": asked.name}
        note_action(scope, call.action, secret_of(call, request, {}))
        if asked.operation is _LIST:
            return _wrapped(scope, {"keys": await self._keys(call, asked.name)})
        found = require_live(await self._secrets.resolve(call, request))
        note_action(scope, resource=found.arn)
        if asked.operation is _DESCRIBE:
            return _wrapped(scope, _metadata(found))
        version = _version(found, asked.query.get("version", ""))
        value = await self._secrets.store.value(found, version.version_id, call.caller)
        await self._secrets.store.note_access(found, version.version_id)
        return _wrapped(scope, {"data": shown(value), "metadata": _of_version(found, version)})

    async def _keys(self, call: RequestContext, folder: str) -> list[str]:
        """What is in a folder, each once. Raises VaultError where nothing is."""
        await self._secrets.authorizer.require_any(call, {})
        begin = f"{folder.rstrip('/')}/" if folder else ""
        every = [each for each in await self._secrets.store.all_of(call) if each.spec.deletion_date is None]
        rest = [each.label.removeprefix(begin) for each in every if each.label.startswith(begin)]
        found = sorted({first + slash for first, slash, _ in (each.partition("/") for each in rest) if first + slash})
        if not found:
            raise VaultError(404)
        return found

    async def _call(self, scope: Scope, declared: Operation) -> RequestContext:
        caller = scope["state"]["caller"]
        return RequestContext(
            caller,
            "",
            account_of(caller.namespace),
            scope["state"]["request_id"],
            declared,
            [],
            action=f"secretsmanager:{declared.name}",
            policies=await self._authenticator.policies_of(caller),
        )


def shown(value: SecretValue) -> Json:
    """As Vault has values: an object. What is none is its member `value`, bytes are base64 in `binary`."""
    if value.binary:
        return {"binary": base64.b64encode(value.content).decode()}
    try:
        read = json.loads(value.content)
    except (ValueError, RecursionError):
        read = None
    return read if isinstance(read, dict) else {"value": value.content.decode()}


def _asked(scope: Scope) -> _Asked:
    """Raises VaultError."""
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    mount, _, rest = unquote(raw.removeprefix(PREFIX)).partition("/")
    kind, _, name = rest.partition("/")
    if mount != MOUNT or kind not in _OPERATIONS:
        raise VaultError(404, f"no handler for route {mount[:64]!r}: there is {MOUNT}/data and {MOUNT}/metadata")
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    if unknown := sorted(set(query) - _QUERY[kind]):
        raise VaultError(400, f"{kind} does not understand {', '.join(unknown)[:128]} in the query")
    if scope["method"] != "GET":
        raise VaultError(405, "unsupported operation: secrets are read here, and written by the AWS API")
    if query.get("list", "false") == "true":
        return _Asked(_LIST, name, query)
    if query.get("list", "false") != "false":
        raise VaultError(400, "list: must be true or false")
    if not name:
        raise VaultError(404)
    return _Asked(_OPERATIONS[kind], name, query)


def _version(found: FoundSecret, wanted: str) -> VersionStatus:
    """That one, or the current one. Raises VaultError."""
    if wanted in ("", "0"):
        version = found.version(found.current or "")
    elif not (wanted.isascii() and wanted.isdigit() and len(wanted) < 10):
        raise VaultError(400, "version: must be a number")
    else:
        version = next((each for each in found.versions if each.number == int(wanted)), None)
    if version is None or not version.key:
        raise VaultError(404)
    return version


def _of_version(found: FoundSecret, version: VersionStatus) -> Json:
    tags = found.tags or None
    return {**_entry(version), "custom_metadata": tags, "version": version.number}


def _metadata(found: FoundSecret) -> Json:
    current = found.version(found.current or "")
    status, meta = found.secret.status, found.secret.metadata
    made = rfc3339(meta.creation_timestamp) if meta.creation_timestamp else ""
    return {
        "cas_required": False,
        "created_time": made,
        "current_version": current.number if current else 0,
        "custom_metadata": found.tags or None,
        "delete_version_after": "0s",
        "max_versions": 0,
        "oldest_version": min((each.number for each in found.versions), default=0),
        "updated_time": rfc3339(status.changed_at) if status.changed_at else made,
        "versions": {str(each.number): _entry(each) for each in found.versions if each.key},
    }


def _entry(version: VersionStatus) -> Json:
    return {"created_time": rfc3339(version.created_at), "deletion_time": "", "destroyed": False}


def _lookup(scope: Scope) -> Json:
    """Of the token itself nothing is said: who has it knows it."""
    caller = scope["state"]["caller"]
    return {
        "display_name": caller.name,
        "entity_id": "",
        "meta": {"namespace": caller.namespace},
        "orphan": True,
        "path": "auth/token/lookup-self",
        "policies": ["default"],
        "renewable": False,
        "type": "service",
    }


def _wrapped(scope: Scope, data: Json) -> Json:
    return {
        "request_id": scope["state"]["request_id"],
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": data,
        "wrap_info": None,
        "warnings": None,
        "auth": None,
        "mount_type": "kv",
    }


def _refused(scope: Scope, error: AwsError) -> tuple[int, Json]:
    if error.code == "AccessDeniedException":
        note_action(scope, forbidden=True)
        return 403, {"errors": ["permission denied"]}
    if error.code == "ResourceNotFoundException":
        return 404, {"errors": []}
    if error.status >= 500:
        return 503, {"errors": [error.message]}
    return 400, {"errors": [error.message]}
