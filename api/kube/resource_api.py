"""The resource API: the road of a request, one visible list of steps.

    taken apart -> authorized -> body read -> answered (read, list, watch, written)

Who asks was found out before (api/app.py); errors on the road become a Kubernetes Status there.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from urllib.parse import parse_qs

from api.asgi import AT_ONCE, Receive, Response, Scope, Send, json_answer, read_body, send_answer
from api.auth.authorizer import Action, Authorizer
from api.auth.networks import refuse_foreign_networks
from api.auth.principal import Principal
from api.auth.service_accounts import AccountTokens
from api.edge.bodies import RESOURCE_LIMIT
from api.kube.api_documents import Documents
from api.kube.builtin_roles import BuiltinRoles
from api.kube.definitions import DefinitionStorage
from api.kube.finalize import finalized
from api.kube.get_list import ReadHandler
from api.kube.request import ApiRequest, find_target, not_served
from api.kube.scale import ScaleHandler
from api.kube.storage import ResourceStorage, StorageMap, StoreStorage
from api.kube.views.metrics import NODE_METRICS, POD_METRICS
from api.kube.views.pods import NEEDS_WEBSOCKET, NOT_SERVED, POD
from api.kube.views.registry import Views
from api.kube.warnings import warning_headers
from api.kube.watch import WatchHandler
from api.kube.worker_leases import WORKER_LEASES, WorkerLeases
from api.kube.write import WriteHandler
from controller.admission.request import AdmissionRequest, May
from controller.kit.clock import Clock
from controller.kit.leases import Leases
from controller.resources.registry import Registry
from controller.runtime.driver import Driver
from crds.errors import AlreadyExists, BadRequest, MethodNotAllowed
from crds.kind import GROUP
from crds.kinds.definition import DEFINITION
from crds.kinds.explanation import EXPLANATIONS
from crds.kinds.lease import LEASE
from crds.kinds.rbac import CLUSTER_ROLE
from crds.kinds.review import REVIEWS
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey
from services.sdk.asgi import read_params

BODY_LIMIT = RESOURCE_LIMIT


class ResourceApi:
    """Serves /api and /apis for every kind of the catalog."""

    def __init__(
        self,
        registry: Registry,
        authorizer: Authorizer,
        clock: Clock,
        rng: random.Random,
        *,
        driver: Driver | None = None,
        leases: Leases | None = None,
        account_tokens: AccountTokens | None = None,
    ) -> None:
        self._catalog, self._authorizer = registry.catalog, authorizer
        self._registry, self._account_tokens = registry, account_tokens
        self._writing = WriteHandler(registry, authorizer, clock)
        self._views = Views(registry, clock, self._writing, driver, leases)
        self._documents = Documents(registry.catalog, (*self._views.kinds, *REVIEWS, *EXPLANATIONS))
        self._given_roles = BuiltinRoles(registry, authorizer, clock.now())
        others: dict[tuple[str, str], ResourceStorage] = {
            **self._views.sources,
            (DEFINITION.group, DEFINITION.plural): DefinitionStorage(registry, clock.now()),
            (CLUSTER_ROLE.group, CLUSTER_ROLE.plural): self._given_roles,
        }
        if leases is not None:
            others[(LEASE.group, LEASE.plural)] = WorkerLeases(registry, leases, clock)
        sources = StorageMap(StoreStorage(registry), others)
        self._reading = ReadHandler(sources, clock)
        self._scaling = ScaleHandler(registry)
        self._watching = WatchHandler(sources, clock, rng)
        self.watches = self._watching.metrics

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, who: Principal, *headers: tuple[bytes, bytes]
    ) -> int:
        """Answers one request; returns the HTTP code. Raises ApiError before anything was sent."""
        asked = dict(scope["headers"])
        if answer := await self._documents.find(scope["path"], asked):
            await send_answer(send, answer, *headers)
            return answer.code
        ask = self._parse(scope, asked, who)
        self._authorizer.require(who, ask.action)
        if deprecated := ask.target.kind.deprecated:
            headers = (*headers, *warning_headers(ask, (deprecated,)))
        if ask.target.subresource == "exec":
            self._views.instance_of(ask)  # who fell back to an older protocol still hears what is really wrong
            raise BadRequest(NEEDS_WEBSOCKET)
        if ask.target.subresource == "log":
            await self._views.serve_log(ask, receive, send, headers)
            return 200
        if ask.verb == "watch":
            at_once = (scope.get("extensions") or {}).get(AT_ONCE)
            await self._watching.serve(ask, receive, send, headers, at_once)
            return 200
        if ask.method not in ("GET", "HEAD"):
            ask.body = await read_body(receive, limit=BODY_LIMIT)
        answer = await self._answered(ask)
        await send_answer(send, answer, *headers)
        return answer.code

    def is_of_records(self, scope: Scope, who: Principal) -> bool:
        """Whether that read is answered from records alone, by who does not lead as well. Raises NotFound, Forbidden,
        MethodNotAllowed, BadRequest.
        """
        if self._documents.serves(scope["path"]):
            return True
        ask = self._parse(scope, dict(scope["headers"]), who)
        self._authorizer.require(who, ask.action)
        kind = ask.target.kind
        return not ask.target.subresource and kind not in (LEASE, NODE_METRICS, POD_METRICS)

    def instance_of(self, scope: Scope, who: Principal) -> tuple[ObjectKey, str]:
        """The service and instance behind the pod that somebody wants to run a command in. Raises ApiError."""
        # By GET or POST alike, running something is no reading.
        ask = self._parse({**scope, "method": "POST"}, dict(scope["headers"]), who)
        self._authorizer.require(who, ask.action)
        found = self._views.instance_of(ask)
        options = {"kind": "PodExecOptions", "apiVersion": "v1", "command": _commands(scope["query_string"])}
        self._registry.admission.validate(
            AdmissionRequest("CONNECT", ask.target.kind, ask.target.key, ask.requester, None, options, "exec")
        )
        return found

    def _may(self, who: Principal) -> May:
        """Asked by admission: what the author of a write may besides."""
        return lambda *action: self._authorizer.allows(who, Action(*action))

    def _parse(self, scope: Scope, headers: Mapping[bytes, bytes], who: Principal) -> ApiRequest:
        target = find_target(_raw_path(scope), self._catalog, self._views)
        ask = ApiRequest(scope["method"], target, read_params(scope["query_string"]), headers, who, self._may(who))
        if ask.method not in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            raise MethodNotAllowed(f"the method {ask.method} is not served here")
        _check_served(ask, self._views)
        return ask

    async def _answered(self, ask: ApiRequest) -> Response:
        if self._views.is_one(ask.target.kind) and (ask.target.subresource or ask.verb not in ("get", "list")):
            self._refuse_as_stored(ask)
            return await self._views.answer(ask)
        if ask.target.subresource == "scale":
            return await self._scaling.answer(ask)
        if ask.target.subresource == "finalize":
            return await finalized(ask, self._registry)
        if ask.target.subresource == "token":
            return self._token(ask)
        if ask.method not in ("GET", "HEAD"):
            self._refuse_ours(ask)
        match ask.verb:
            case "get":
                return await self._reading.get(ask)
            case "list":
                return await self._reading.list(ask)
            case "create":
                return await self._writing.create(ask)
            case "update":
                return await self._writing.replace(ask)
            case "patch":
                return await self._writing.patch(ask)
            case "delete":
                return await self._writing.delete(ask)
            case _:
                return await self._writing.delete_collection(ask)

    def _refuse_as_stored(self, ask: ApiRequest) -> None:
        """Shown as another kind, it is a Service all the same: what runs in its networks changes with it."""
        if ask.verb not in ("update", "patch") or ask.target.subresource or ask.target.kind is POD:
            return  # what an instance says of itself changes nothing of what runs
        if self._views.behind(ask.target.kind) is SERVICE:
            held = self._views.stored(ask)
            refuse_foreign_networks(self._authorizer, ask.who, held.key.namespace, held.object)

    def _token(self, ask: ApiRequest) -> Response:
        if self._account_tokens is None:
            raise MethodNotAllowed("service accounts have no tokens here")
        account = self._registry.get(ask.target.kind, ask.target.key)
        request = self._account_tokens.issued(account, ask.manifest(), dry_run=ask.how.dry_run)
        return json_answer(201, request)

    def _refuse_ours(self, ask: ApiRequest) -> None:
        """Raises MethodNotAllowed, AlreadyExists for what is shown beside the stored, and only to be read."""
        kind, name = ask.target.kind, ask.target.name
        if kind is DEFINITION:
            plural, _, group = name.partition(".")
            if group == GROUP and self._catalog.find(group, plural) is not None:
                raise MethodNotAllowed(f"{name} is built in; its definition can only be read")
        elif kind is LEASE and ask.target.namespace == WORKER_LEASES:
            raise MethodNotAllowed(f"leases in {WORKER_LEASES} are the workers' own; they can only be read")
        elif kind is CLUSTER_ROLE and ask.verb != "deletecollection":
            made = name or str((ask.manifest().get("metadata") or {}).get("name", ""))
            if not self._given_roles.is_given(made):
                return
            if not name:
                raise AlreadyExists(f'{kind.resource} "{made}" already exists', key=kind.key(made))
            raise MethodNotAllowed(f"the cluster role {made} is built in; make one of another name")


def _commands(query: bytes) -> list[str]:
    return parse_qs(query.decode("latin-1")).get("command", [])


def _raw_path(scope: Scope) -> str:
    """Undecoded, as the client sent it."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _check_served(ask: ApiRequest, views: Views) -> None:
    """Raises NotFound, MethodNotAllowed for what there is not: a subresource has verbs of its own."""
    kind, below = ask.target.kind, ask.target.subresource
    if below:
        found = next((each for each in kind.subresources if each.name == below), None)
        if found is None:
            why = NOT_SERVED.get((kind.group, kind.plural, below))
            raise MethodNotAllowed(why) if why else not_served()
        if ask.verb not in found.verbs:
            raise MethodNotAllowed(f"{kind.resource}/{below} does not support {ask.verb}")
        return
    if ask.verb not in kind.verbs:
        advice = views.advice(kind, ask.verb)
        raise MethodNotAllowed(f"{kind.resource} does not support {ask.verb}" + (f"; {advice}" if advice else ""))
    if not ask.target.name and ask.method in ("PUT", "PATCH"):
        raise MethodNotAllowed(f"{ask.method} needs the name of a resource in its path")
