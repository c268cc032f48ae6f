"""The gateway: /services/<name>/... for bearer callers, and the AWS endpoint for signed requests.

Signatures are verified here, and whoever called is told to the service by an identity token of their own: the service
learns no secret, and can do nothing in anybody's name but with that token (api/auth/on_behalf.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from urllib.parse import unquote

from api.asgi import Receive, Response, Scope, Send, error_answer, send_answer
from api.audit.notes import notes_of
from api.auth.authentication import ANONYMOUS, WHO
from api.auth.authorizer import Action, Authorizer
from api.auth.on_behalf import Identities
from api.auth.principal import SERVICE_PREFIX, Principal
from api.auth.tokens import Tokens
from api.chain import ResponseRecorder
from api.channel.settings import GatewaySettings
from api.edge.bodies import has_body
from api.gateway.activation import Activation
from api.gateway.aws_errors import as_aws_error, aws_answer, protocol_of
from api.gateway.aws_routing import form_value, refusal, signed_for, signing_names
from api.gateway.bucket_hosts import S3, OwnNames, is_buckets_host, website_of, with_bucket
from api.gateway.events import NotesEvents
from api.gateway.exchange import FAILED, request_head
from api.gateway.load_balancer import LoadBalancer
from api.gateway.mutual_tls import Secures
from api.gateway.own_hosts import OwnHosts
from api.gateway.request_limits import RequestLimits
from api.gateway.reverse_proxy import FreeConnection, ReverseProxy, forwarded
from api.gateway.stand_ins import StandIns
from api.gateway.token_headers import with_bearer
from api.gateway.unsigned_s3 import identify, is_preflight, is_unsigned_s3, source_ip
from api.gateway.upstream import Headers
from api.request_context import UPSTREAM, request_id_of
from api.traffic import CountsTraffic, Traffic
from controller.kit import tracing
from controller.kit.clock import Clock
from crds.errors import ApiError, Forbidden, NotFound
from crds.kind import GROUP
from crds.managed import ManagedService
from services.sdk.asgi import read_body, replaying
from services.sdk.aws.errors import AwsError, Protocol, SignatureError
from services.sdk.aws.verifier import Owner, SignatureVerifier, Verified, payload_headers
from services.sdk.edge.connections import prove

PREFIX = "/services/"
STS, WEB_IDENTITY = "sts", "AssumeRoleWithWebIdentity"
_FORM_BYTES = 64 * 2**10
SESSION_TOKEN = b"x-amz-security-token"
_VERBS = {"GET": "get", "HEAD": "get", "OPTIONS": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
FindSigner = Callable[[str], Owner[Principal]]


class Gateway:
    """Adds who calls, and hands the request to a ready instance. `find_signer`: the owner of an access key;
    `note_use` hears of each key that signed, and for which service; `own_names`: by which this cloud is reached;
    `own_hosts`: these, and its addresses.
    """

    def __init__(
        self,
        balancer: LoadBalancer,
        tokens: Tokens,
        authorizer: Authorizer,
        services: Iterable[ManagedService],
        clock: Clock,
        find_signer: FindSigner,
        note_use: Callable[[str, str], None] = lambda *_: None,
        most_connections: int = 512,
        tls: Secures | None = None,
        own_names: OwnNames = tuple,
        own_hosts: OwnNames = tuple,
        traffic: CountsTraffic | None = None,
        limits: RequestLimits | None = None,
        events: NotesEvents | None = None,
        activation: Activation | None = None,
    ) -> None:
        self._balancer, self._activation = balancer, activation
        self.proxy = ReverseProxy(
            balancer,
            tls,
            most_connections,
            balancer.active,
            events,
            balancer.instance_at,
            balancer.socket_at,
            clock.monotonic,
        )
        self._authorizer, self._clock = authorizer, clock
        self._services = {each.service_name: each for each in services}
        self._speaks = signing_names(self._services.values())
        self._stand_ins = StandIns(self._services.values(), balancer.is_ready, clock.monotonic)
        self.traffic: CountsTraffic = traffic or Traffic()
        self._identities, self._verifier = Identities(tokens, clock), SignatureVerifier(find_signer, clock)
        self._note_use, self._own_names, self._hosts = note_use, own_names, OwnHosts(own_hosts)
        self.limits = limits or RequestLimits(clock.monotonic)

    def use(self, settings: GatewaySettings) -> None:
        """From now on."""
        self.limits.use(settings)
        self.proxy.share_with(settings.gateways)

    async def close(self) -> None:
        await self.proxy.close()

    def take_token(self, scope: Scope) -> None:
        """Let a token count that came in the header in which the clients of that service send theirs."""
        managed = self._services.get(_split(_target(scope))[0])
        if managed is not None and managed.token_header:
            scope["headers"] = with_bearer(scope["headers"], managed.token_header.encode())

    def is_public(self, scope: Scope) -> bool:
        """Whether it is for a service that anybody may ask this of (`ManagedService.public`)."""
        name, target = _split(_target(scope))
        managed = self._services.get(name)
        if managed is None or not managed.public:
            return False
        path = target.partition(b"?")[0]
        return any(
            scope["method"] == each.method and path.startswith(each.prefix.encode()) for each in managed.public
        )

    async def serve_public(self, scope: Scope, receive: Receive, send: Send, *extra: tuple[bytes, bytes]) -> int:
        """In nobody's name, whom the limits of addresses bound. What proves the sender to others stays here: tokens
        and cookies of this cloud as well as those that are meant for somebody else. A service that sleeps has nothing
        that somebody could ask for, and is not woken. Raises as `serve`.
        """
        scope[WHO] = ANONYMOUS
        name, target = _split(_target(scope))
        if self._activation is not None:
            self._activation.require_awake(name)
        own = ((b"x-aerekos-identity", self._identities.token(ANONYMOUS, name)), *self._hosts.instead(scope), *extra)
        return await self._forward(scope, receive, send, "", name, target, _of_nobody(scope, *own))

    def aws_service(self, scope: Scope) -> str | None:
        """The AWS signing name of a signed request, and of one that anybody may send to S3; or None."""
        found = signed_for(scope["headers"], scope["query_string"])
        if found is None and S3 in self._speaks and not website_of(scope, self._own_names()):
            return S3 if is_unsigned_s3(scope, self._own_names()) else None
        return found

    def is_website(self, scope: Scope) -> bool:
        """Whether somebody without a signature looks at the website in a bucket."""
        if S3 not in self._speaks or not website_of(scope, self._own_names()):
            return False
        return signed_for(scope["headers"], scope["query_string"]) is None

    def require_own_host(self, scope: Scope) -> None:
        """Raises NotFound at the host of a bucket. A page there is of that very origin, and its browser shows the
        client certificate of whoever looks at it: nothing but what everybody may read is asked for there.
        """
        if is_buckets_host(scope, self._own_names()):
            raise NotFound("only what is in a bucket is served at its host")

    def refuse(self, scope: Scope, error: ApiError) -> Response:
        """The refusal of a request nobody has looked at, in the words of whom it was for."""
        signing_name = self.aws_service(scope)
        if signing_name is None:
            return error_answer(error)
        protocol = self._protocol(scope, signing_name)
        return aws_answer(as_aws_error(error, protocol), protocol, scope, request_id_of(scope), error.retry_after)

    def _protocol(self, scope: Scope, signing_name: str) -> Protocol:
        managed = self._services.get(self._speaks.get(signing_name, ""))
        # What is spoken in json may be spoken in forms as well, by older clients.
        return managed.protocol if managed and managed.protocol != "json" else protocol_of(scope)

    async def serve_aws(
        self, scope: Scope, receive: Receive, send: ResponseRecorder, signing_name: str, *extra: tuple[bytes, bytes]
    ) -> int:
        """A request that was signed goes on as it came; one that was not is refused in the words of its protocol."""
        answering = self._serve_aws(scope, receive, send, signing_name, extra)
        return await self._or_refused(answering, self._protocol(scope, signing_name), scope, send, extra)

    async def _serve_aws(
        self,
        scope: Scope,
        receive: Receive,
        send: ResponseRecorder,
        signing_name: str,
        extra: tuple[tuple[bytes, bytes], ...],
    ) -> int:
        """Raises ApiError, AwsError, SignatureError."""
        managed = self._services.get(self._speaks.get(signing_name, ""))
        failed, method = scope.pop(FAILED, None), scope["method"]
        if managed is None:
            raise failed or AwsError(*refusal(signing_name, self._speaks))
        first = self._stand_ins.chosen(managed, method) if failed is None else managed
        try:
            if failed is not None:
                raise failed
            code = await self._serve_by(scope, receive, send, first, extra)
        except ApiError as lost:
            other = self._stand_ins.instead(managed, method, lost) if first is managed and not send.code else None
            if other is None or has_body(scope["headers"]):  # which was read
                raise
            return await self._serve_by(scope, replaying(b"", receive), send, other, extra)
        if send.code:
            self._stand_ins.record_success(first.service_name)
        return code

    def record_success(self, free: FreeConnection) -> None:
        """The instance at the other end of that connection answered."""
        self.proxy.record_success(free.address)
        self._stand_ins.record_success(free.service)

    async def _serve_by(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        managed: ManagedService,
        extra: tuple[tuple[bytes, bytes], ...],
    ) -> int:
        by_nobody = S3 in managed.speaks and is_preflight(scope)
        if by_nobody or signed_for(scope["headers"], scope["query_string"]) is None:
            return await self._serve_unsigned(scope, receive, send, managed, extra)
        return await self._serve_signed(scope, receive, send, managed, extra)

    async def _or_refused(
        self,
        answering: Awaitable[int],
        protocol: Protocol,
        scope: Scope,
        send: ResponseRecorder,
        extra: tuple[tuple[bytes, bytes], ...],
    ) -> int:
        """The code of the answer, or of the refusal in the words of that protocol."""
        retry_after = None
        try:
            return await answering
        except (AwsError, SignatureError) as refused:
            error = refused.as_error(protocol) if isinstance(refused, SignatureError) else refused
            if isinstance(refused, SignatureError):
                notes_of(scope).deny(refused.message)
        except ApiError as lost:
            if send.code:  # all that is left is to break the connection off, as the app does
                raise
            error, retry_after = as_aws_error(lost, protocol), lost.retry_after
        answer = aws_answer(error, protocol, scope, dict(extra).get(b"x-request-id", b""), retry_after)
        await send_answer(send, answer, *extra)
        return answer.code

    async def serve_website(
        self, scope: Scope, receive: Receive, send: ResponseRecorder, *extra: tuple[bytes, bytes]
    ) -> int:
        """As anybody, whoever it is: neither cookies, tokens nor client certificates count, and none goes on."""
        return await self._or_refused(self._serve_website(scope, receive, send, extra), "s3", scope, send, extra)

    async def _serve_website(
        self, scope: Scope, receive: Receive, send: Send, extra: tuple[tuple[bytes, bytes], ...]
    ) -> int:
        """Raises ApiError."""
        service = self._services[self._speaks[S3]].service_name
        target = b"/" + website_of(scope, self._own_names()).encode() + _target(scope)
        own = ((b"x-aerekos-identity", self._identities.token(ANONYMOUS, service)), source_ip(scope), *extra)
        site = () if scope["method"] == "OPTIONS" else ((b"x-aerekos-website", b"1"),)
        return await self._forward(scope, receive, send, "", service, target, _of_nobody(scope, *own, *site))

    async def serve_unsigned(
        self, scope: Scope, receive: Receive, send: ResponseRecorder, *extra: tuple[bytes, bytes]
    ) -> int:
        """A form that nobody signed: the one operation of STS whose token is the proof, in nobody's name."""
        return await self._or_refused(
            self._serve_web_identity(scope, receive, send, extra), "query", scope, send, extra
        )

    async def _serve_web_identity(
        self, scope: Scope, receive: Receive, send: Send, extra: tuple[tuple[bytes, bytes], ...]
    ) -> int:
        """Raises ApiError, AwsError."""
        managed = self._services.get(self._speaks.get(STS, ""))
        body = await read_body(receive, _FORM_BYTES)
        if managed is None or body is None or form_value(body, "Action") != WEB_IDENTITY:
            raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        identity = self._identities.token(ANONYMOUS, managed.service_name)
        own = ((b"x-aerekos-identity", identity), *self._hosts.instead(scope), *extra)
        service, target, again = managed.service_name, b"/" + STS.encode(), replaying(body, receive)
        return await self._forward(scope, again, send, "", service, target, forwarded(scope["headers"], *own))

    async def _serve_signed(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        managed: ManagedService,
        extra: tuple[tuple[bytes, bytes], ...],
    ) -> int:
        found, receive = await self._verifier.verified(scope, receive, managed.speaks)
        target, headers = self._identified(scope, found, managed, extra)
        return await self._forward(scope, receive, send, "", managed.service_name, target, headers)

    def _identified(
        self,
        scope: Scope,
        found: Verified[Principal],
        managed: ManagedService,
        extra: tuple[tuple[bytes, bytes], ...],
    ) -> tuple[bytes, Headers]:
        """Target and headers of a request that was verified, as its service gets them. Raises ApiError, AwsError."""
        scope[WHO] = found.who
        prove(scope)
        self.limits.admit_principal(scope, found.who)
        service = managed.service_name
        if found.who.proof is not None:
            self._note_use(str(found.who.proof.binding.get("akid", "")), service)
        identity = self._identities.token(found.who, service)
        added = payload_headers(scope, found) if found.signature.expires is not None else ()
        own = ((b"x-aerekos-identity", identity), *self._hosts.instead(scope), *added, *extra)
        target = _target(scope)
        if S3 in managed.speaks:
            target, own = with_bucket(scope, target, self._own_names()), (*own, source_ip(scope))
        headers = forwarded(scope["headers"], *own, without=SESSION_TOKEN)  # proof, and for nobody else
        return target, headers

    def begin_call(
        self, scope: Scope, body: bytes, signing_name: str, *extra: tuple[bytes, bytes]
    ) -> tuple[FreeConnection, bytes] | None:
        """A place for a signed request whose body is there, and the bytes to send on it: what `serve_aws` does before
        its first wait. None where it would have to wait. Raises ApiError, AwsError, SignatureError.
        """
        managed = self._services.get(self._speaks.get(signing_name, ""))
        address = self._balancer.usual(managed.service_name) if managed is not None else None
        if managed is None or address is None:
            return None
        free = self.proxy.take_free(managed.service_name, address)
        if free is None:
            return None
        try:
            found = self._verifier.verified_with(scope, body, managed.speaks)
            target, headers = self._identified(scope, found, managed, extra)
            head = request_head(scope["method"].encode("ascii"), target, headers)
            self.limits.admit_service(scope, managed.service_name)
            placed = self.proxy.place(free, found.who.name)
        except BaseException:
            self.proxy.give_back(free)
            raise
        if not placed:
            self.proxy.give_back(free)
            return None
        scope[UPSTREAM] = (free.service, self._balancer.instance_at(free.address))
        return free, head + body

    async def _serve_unsigned(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        managed: ManagedService,
        extra: tuple[tuple[bytes, bytes], ...],
    ) -> int:
        """Of anybody, whom the limits of addresses bound, or of who signed a form."""
        who, receive = await identify(scope, receive, self._verifier)
        scope[WHO] = who
        if who is not ANONYMOUS:
            prove(scope)
            self.limits.admit_principal(scope, who)
        service = managed.service_name
        identity, hosts = self._identities.token(who, service), self._hosts.instead(scope)
        own = ((b"x-aerekos-identity", identity), *hosts, source_ip(scope), *extra)
        headers = forwarded(scope["headers"], *own, without=b"cookie")
        target = with_bucket(scope, _target(scope), self._own_names())
        return await self._forward(scope, receive, send, "", service, target, headers)

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, who: Principal, *extra: tuple[bytes, bytes]
    ) -> int:
        """`/services/<name>/<rest>` goes on as `/<rest>`. Raises NotFound, Forbidden, Unavailable, Timeout,
        TooManyRequests.
        """
        self.limits.admit_principal(scope, who)
        name, target = _split(_target(scope))
        if not name:
            raise NotFound("write /services/<name>/...; `aerekos get services` lists the names")
        peer = who.service if not who.actors else who.actors[0].removeprefix(SERVICE_PREFIX)
        if peer:
            self._require_needed(peer, name)
        else:
            self._authorizer.require(who, self._action(scope["method"], name))
        identity = self._identities.token(who, name)
        own = (
            (b"x-aerekos-identity", identity),
            *(self._hosts.instead(scope) if name in self._services else ()),
            *extra,
        )
        headers = forwarded(scope["headers"], *own, without=b"authorization", peer=bool(peer))
        return await self._forward(scope, receive, send, peer, name, target, headers)

    def _require_needed(self, peer: str, service: str) -> None:
        """A service reaches those its manifest names. Raises Forbidden."""
        named = (*self._services[peer].needs, *self._services[peer].asks) if peer in self._services else ()
        if service.replace("-", "_") not in named:
            raise Forbidden(f"{peer} does not say in its manifest that it needs {service}")

    def _action(self, method: str, service: str) -> Action:
        """Managed services judge for themselves what their callers may; of all others nobody else does."""
        verb = "get" if service in self._services else _VERBS.get(method, "create")
        return Action(verb, GROUP, "services/proxy", "default", service)

    async def _forward(
        self, scope: Scope, receive: Receive, send: Send, asker: str, service: str, target: bytes, headers: Headers
    ) -> int:
        """Carried to the service and counted, unless there is no such service."""
        self.limits.admit_service(scope, service)
        began = self._clock.monotonic()
        notes_of(scope).service_tells = service in self._services
        try:
            with tracing.child("gateway", "client") as span:
                span.note("aerekos.service", service)
                if span is not tracing.NO_SPAN:
                    headers = tracing.with_traceparent(headers)
                code = await self._carry(scope, receive, send, service, target, headers)
                span.note("http.response.status_code", code)
        except NotFound:
            raise
        except ApiError as error:
            self.traffic.note(asker, service, error.code, self._clock.monotonic() - began)
            raise
        self.traffic.note(asker, service, code, self._clock.monotonic() - began)
        return code

    async def _carry(
        self, scope: Scope, receive: Receive, send: Send, service: str, target: bytes, headers: Headers
    ) -> int:
        """Once the service is awake."""
        carried = partial(
            self.proxy.forward,
            scope,
            receive,
            send,
            service=service,
            target=target,
            headers=headers,
            principal=_name_of(scope),
            patience=self._balancer.patience(service),
        )
        activation = self._activation
        if activation is None or not activation.on_demand(service):
            return await carried()
        with activation.used(service):
            await activation.until_ready(service)
            return await carried()


def _name_of(scope: Scope) -> str:
    who = scope.get(WHO)
    return who.name if isinstance(who, Principal) else ""


def _of_nobody(scope: Scope, *own: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """The headers of a request that is handed on in nobody's name: without what proves the sender to anybody."""
    told = [each for each in scope["headers"] if each[0] != b"cookie"]
    return forwarded(told, *own, without=b"authorization")


def _target(scope: Scope) -> bytes:
    """Path and query exactly as they came."""
    path: bytes = scope["raw_path"].partition(b"?")[0]
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path


def _split(target: bytes) -> tuple[str, bytes]:
    """`/services/<name>/<rest>` as name and `/<rest>`. Cut before anything is decoded, so that what comes after the
    name leaves as it came."""
    path, mark, query = target.partition(b"?")
    _, _, name, rest = [*path.split(b"/", 3), b"", b""][:4]
    return unquote(name.decode("latin-1")), b"/" + rest + mark + query
