"""ID tokens of a trusted issuer let in whom they should; forged, foreign, stale and borrowed ones are refused."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from clouds import REPOSITORY, Cloud, a_port
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jose import jwk, jwt
from unit.api.components import HOW, House, make_house

from api.auth.oidc.options import OidcOptions, read_required
from crds.kinds.user import USER

ISSUER, CLIENT = "https://issuer.example", "aerekos"
NAMESPACES = "/api/v1/namespaces"


class Signer:
    """One key of an issuer."""

    def __init__(self, kid: str, algorithm: str = "RS256", bits: int = 2048) -> None:
        self.kid, self.algorithm = kid, algorithm
        made = (
            ec.generate_private_key(ec.SECP256R1()) if algorithm[0] == "E" else rsa.generate_private_key(65537, bits)
        )
        self.pem = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        public = jwk.construct(self.pem, algorithm).public_key().to_dict()
        plain = {name: value.decode() if isinstance(value, bytes) else value for name, value in public.items()}
        self.public = {**plain, "kid": kid, "use": "sig", "alg": algorithm}

    def token(self, claims: dict[str, Any], **head: Any) -> str:
        return str(jwt.encode(claims, self.pem, self.algorithm, headers={"kid": self.kid, **head}))


KEYS = {
    "one": Signer("one"),
    "two": Signer("two"),
    "curve": Signer("curve", "ES256"),
    "short": Signer("short", bits=1024),
}


class Issuer:
    """Answers as the issuer does; `shown` are the keys it shows now."""

    def __init__(self, *shown: str) -> None:
        self.shown, self.asked = list(shown), 0
        self.calls_itself, self.broken = ISSUER, False

    async def fetch(self, url: str) -> Any:
        self.asked += 1
        if self.broken:
            raise OSError("nobody is there")
        if url.endswith("openid-configuration"):
            return {"issuer": self.calls_itself, "jwks_uri": f"{ISSUER}/keys"}
        return {"keys": [KEYS[name].public for name in self.shown]}


@asynccontextmanager
async def opened(folder: Path, issuer: Issuer, **more: Any) -> AsyncIterator[House]:
    options = OidcOptions(ISSUER, CLIENT, **{"username_prefix": "oidc-", **more})
    house = await make_house(folder, oidc=options, fetch=issuer.fetch)
    await house.registry.create(USER, "", {"metadata": {"name": "oidc-ada"}, "spec": {"roles": ["viewer"]}}, HOW)
    yield house
    await house.close()


def claims(house: House, **more: Any) -> dict[str, Any]:
    now = int(house.clock.now().timestamp())
    made = {"iss": ISSUER, "aud": CLIENT, "sub": "ada", "iat": now, "exp": now + 300, **more}
    return {name: value for name, value in made.items() if value is not None}


async def asked(house: House, token: str, path: str = NAMESPACES) -> int:
    async with house.client({"authorization": f"Bearer {token}"}) as client:
        return (await client.get(path)).status_code


@pytest.mark.anyio
async def test_an_id_token_is_a_bearer_token_as_kubectl_sends_it(tmp_path: Path) -> None:
    async with opened(tmp_path, Issuer("one")) as house:
        token = KEYS["one"].token(claims(house))
        async with house.client({"authorization": f"Bearer {token}"}) as client:
            who = (await client.get("/auth/whoami")).json()
            assert (who["name"], "aerekos:viewer" in who["groups"]) == ("oidc-ada", True)
            assert (await client.get(NAMESPACES)).status_code == 200
            assert (await client.post(NAMESPACES, json={"metadata": {"name": "x"}})).status_code == 403


Forge = Callable[[House], str]


def unsigned(house: House) -> str:
    parts = [{"alg": "none", "kid": "one"}, claims(house)]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def signed_by_public_key(house: House) -> str:
    """The classic: the public key as the secret of an HMAC."""
    head = {"alg": "HS256", "kid": "one"}
    public = jwk.construct(KEYS["one"].pem, "RS256").public_key().to_pem()
    parts = [base64.urlsafe_b64encode(json.dumps(x).encode()).rstrip(b"=") for x in (head, claims(house))]
    import hmac

    code = hmac.new(public, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(code).rstrip(b"=")]).decode()


def tampered(house: House) -> str:
    head, _, signature = KEYS["one"].token(claims(house)).split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(house, sub="owner")).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


FORGERIES: dict[str, Forge] = {
    "unsigned": unsigned,
    "signed by the public key": signed_by_public_key,
    "tampered": tampered,
    "another issuer": lambda house: KEYS["one"].token(claims(house, iss="https://evil.example")),
    "another audience": lambda house: KEYS["one"].token(claims(house, aud="somebody-else")),
    "several audiences without azp": lambda house: KEYS["one"].token(claims(house, aud=[CLIENT, "other"])),
    "several audiences by another": lambda house: KEYS["one"].token(claims(house, aud=[CLIENT, "o"], azp="o")),
    "no audience": lambda house: KEYS["one"].token(claims(house, aud=None)),
    "expired": lambda house: KEYS["one"].token(claims(house, exp=int(house.clock.now().timestamp()) - 61)),
    "no end": lambda house: KEYS["one"].token(claims(house, exp=None)),
    "not yet": lambda house: KEYS["one"].token(claims(house, nbf=int(house.clock.now().timestamp()) + 120)),
    "made tomorrow": lambda house: KEYS["one"].token(claims(house, iat=int(house.clock.now().timestamp()) + 86400)),
    "times as texts": lambda house: KEYS["one"].token(claims(house, nbf="soon")),
    "an unknown key": lambda house: KEYS["two"].token(claims(house)),
    "another key's name": lambda house: KEYS["two"].token(claims(house), kid="one"),
    "another algorithm": lambda house: KEYS["curve"].token(claims(house)),
    "a short key": lambda house: KEYS["short"].token(claims(house)),
    "a critical extension": lambda house: KEYS["one"].token(claims(house), crit=["exp"]),
    "nobody": lambda house: KEYS["one"].token(claims(house, sub=None)),
    "a number for a name": lambda house: KEYS["one"].token(claims(house, sub="\n")),
    "an unknown user": lambda house: KEYS["one"].token(claims(house, sub="bo")),
    "too long": lambda house: KEYS["one"].token(claims(house, x="y" * 20_000)),
}


@pytest.mark.anyio
@pytest.mark.parametrize("forgery", FORGERIES)
async def test_forgeries_are_refused(tmp_path: Path, forgery: str) -> None:
    async with opened(tmp_path, Issuer("one", "curve", "short")) as house:
        assert await asked(house, KEYS["one"].token(claims(house))) == 200
        assert await asked(house, FORGERIES[forgery](house)) == 401


@pytest.mark.anyio
async def test_an_issuers_admin_is_not_ours(tmp_path: Path) -> None:
    """Who has a password here is not found by name, and no group of an issuer is a role."""
    more = {"username_prefix": "-", "groups_claim": "groups", "groups_prefix": "-"}
    async with opened(tmp_path, Issuer("one"), **more) as house:
        await house.add_user("admin", "admin", password="a long enough one")
        assert await asked(house, KEYS["one"].token(claims(house, sub="admin"))) == 401
        assert await asked(house, KEYS["one"].token(claims(house, sub="system:conductor"))) == 401
        told = ["system:masters", "aerekos:admin", "devs"]
        async with house.client(
            {"authorization": f"Bearer {KEYS['one'].token(claims(house, sub='oidc-ada', groups=told))}"}
        ) as client:
            groups = (await client.get("/auth/whoami")).json()["groups"]
    assert "devs" in groups and not {"system:masters", "aerekos:admin"} & set(groups)


@pytest.mark.anyio
async def test_groups_get_the_prefix_and_bindings_to_them_count(tmp_path: Path) -> None:
    more = {"groups_claim": "groups", "groups_prefix": "idp:", "create_users": True}
    async with opened(tmp_path, Issuer("one"), **more) as house:
        token = KEYS["one"].token(claims(house, sub="new", groups=["devs"]))
        assert await asked(house, token) == 403
        binding = {
            "metadata": {"name": "devs"},
            "roleRef": {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [{"kind": "Group", "name": "idp:devs", "apiGroup": "rbac.authorization.k8s.io"}],
        }
        kind = next(each for each in house.registry.catalog if each.plural == "clusterrolebindings")
        await house.registry.create(kind, "", binding, HOW)
        assert await asked(house, token) == 200


@pytest.mark.anyio
async def test_new_people_get_a_user_without_roles_only_where_that_is_wanted(tmp_path: Path) -> None:
    async with opened(tmp_path, Issuer("one"), create_users=True) as house:
        async with house.client(
            {"authorization": f"Bearer {KEYS['one'].token(claims(house, sub='Bo@X.org'))}"}
        ) as client:
            name = (await client.get("/auth/whoami")).json()["name"]
        user = house.accounts.user(name)
        assert user is not None and user.spec.roles == [] and user.spec.external_id == "oidc-Bo@X.org"
        # Two claims never become one user.
        other = KEYS["one"].token(claims(house, sub="bo-x.org"))
        async with house.client({"authorization": f"Bearer {other}"}) as client:
            assert (await client.get("/auth/whoami")).json()["name"] != name


@pytest.mark.anyio
async def test_disabling_the_user_ends_id_tokens_and_sessions_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, Issuer("one")) as house:
        token = KEYS["one"].token(claims(house))
        async with house.client() as client:
            pair = (await client.post("/auth/oidc", json={"idToken": token})).json()
        assert pair["username"] == "oidc-ada"
        assert [await asked(house, each) for each in (token, pair["accessToken"])] == [200, 200]
        await house.registry.merge(USER, USER.key("oidc-ada"), {"spec": {"disabled": True}}, HOW)
        assert [await asked(house, each) for each in (token, pair["accessToken"])] == [401, 401]
        async with house.client() as client:
            assert (await client.post("/auth/oidc", json={"idToken": token})).status_code == 401


@pytest.mark.anyio
async def test_a_good_token_ends_when_it_says(tmp_path: Path) -> None:
    async with opened(tmp_path, Issuer("one")) as house:
        token = KEYS["one"].token(claims(house))
        assert await asked(house, token) == 200
        house.clock.forward(300 + 61)
        assert await asked(house, token) == 401


@pytest.mark.anyio
async def test_required_claims_and_unverified_addresses(tmp_path: Path) -> None:
    more = {"required_claims": read_required("hd=example.org"), "username_claim": "email", "username_prefix": ""}
    async with opened(tmp_path, Issuer("one"), **more) as house:
        spec = {"roles": ["viewer"], "externalId": "ada@example.org"}
        await house.registry.create(USER, "", {"metadata": {"name": "ada"}, "spec": spec}, HOW)
        good = {"email": "ada@example.org", "email_verified": True, "hd": "example.org"}
        assert await asked(house, KEYS["one"].token(claims(house, **good))) == 200
        for bad in ({"hd": None}, {"hd": "evil.org"}, {"email_verified": False}, {"email_verified": "true"}):
            assert await asked(house, KEYS["one"].token(claims(house, **{**good, **bad}))) == 401


@pytest.mark.anyio
async def test_keys_rotate_and_strangers_cannot_make_us_ask_again_and_again(tmp_path: Path) -> None:
    issuer = Issuer("one")
    async with opened(tmp_path, issuer) as house:
        assert await asked(house, KEYS["one"].token(claims(house))) == 200
        for n in range(50):
            assert await asked(house, KEYS["two"].token(claims(house), kid=f"made-up-{n}")) == 401
        assert issuer.asked == 2
        issuer.shown = ["two"]
        house.clock.forward(11)
        assert await asked(house, KEYS["two"].token(claims(house))) == 200
        # The key that was taken back counts no more.
        assert await asked(house, KEYS["one"].token(claims(house, jti="new"))) == 401


@pytest.mark.anyio
async def test_an_issuer_that_is_away_or_calls_itself_otherwise_lets_nobody_in(tmp_path: Path) -> None:
    issuer = Issuer("one")
    issuer.calls_itself = "https://evil.example"
    async with opened(tmp_path, issuer) as house:
        assert await asked(house, KEYS["one"].token(claims(house))) == 401
        issuer.calls_itself, issuer.broken = ISSUER, True
        house.clock.forward(11)
        assert await asked(house, KEYS["one"].token(claims(house))) == 401
        issuer.broken = False
        house.clock.forward(11)
        assert await asked(house, KEYS["one"].token(claims(house))) == 200


@pytest.mark.anyio
async def test_without_an_issuer_there_is_no_such_door(tmp_path: Path) -> None:
    house = await make_house(tmp_path)
    async with house.client() as client:
        assert (await client.get("/auth/oidc")).status_code == 404
        assert (await client.post("/auth/oidc", json={"idToken": "x"})).status_code == 401
    await house.close()


@pytest.mark.parametrize(
    "bad",
    [
        {"issuer": "http://issuer.example"},
        {"issuer": "https://user@issuer.example"},
        {"client_id": ""},
        {"algorithms": ("HS256",)},
        {"algorithms": ("none",)},
    ],
)
def test_settings_that_trust_too_much_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        OidcOptions(**{"issuer": ISSUER, "client_id": CLIENT, **bad})


@pytest.mark.parametrize("text", ["hd", "=x", "a=b,c"])
def test_required_claims_are_pairs(text: str) -> None:
    with pytest.raises(ValueError):
        read_required(text)


# a whole cloud, a whole issuer, and the command line


class RealIssuer:
    """An issuer on this machine: discovery, keys, authorization with PKCE, tokens."""

    def __init__(self) -> None:
        outer, self._codes = self, dict[str, dict[str, str]]()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path == "/authorize":
                    outer._authorize(self, {name: value[0] for name, value in parse_qs(parts.query).items()})
                else:
                    self.answer({"/keys": {"keys": [KEYS["one"].public]}}.get(parts.path, outer.document))

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                self.answer(outer._token({name: value[0] for name, value in form.items()}))

            def answer(self, body: Any) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.document = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
        }

    def token(self, **more: Any) -> str:
        now = int(time.time())
        return KEYS["one"].token({"iss": self.url, "aud": CLIENT, "sub": "ada", "iat": now, "exp": now + 300, **more})

    def _authorize(self, handler: Any, query: dict[str, str]) -> None:
        self._codes["the-code"] = query
        back = f"{query['redirect_uri']}?{urlencode({'code': 'the-code', 'state': query['state']})}"
        handler.send_response(302)
        handler.send_header("location", back)
        handler.end_headers()

    def _token(self, form: dict[str, str]) -> dict[str, str]:
        query = self._codes.pop(form["code"])
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        assert challenge.decode() == query["code_challenge"]
        return {"id_token": self.token(nonce=query["nonce"])}


@pytest.fixture(scope="module")
def issuer() -> Iterator[RealIssuer]:
    made = RealIssuer()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, issuer: RealIssuer) -> Iterator[Cloud]:
    started = Cloud(tmp_path_factory.mktemp("federated") / "home", a_port())
    trusting = ("--oidc-issuer", issuer.url, "--oidc-client-id", CLIENT)
    said = started.command("up", "--timeout", "200", *trusting, timeout=240, AEREKOS_OIDC_CREATE_USERS="yes")
    assert said.code == 0, said
    yield started
    started.command("down")
    shutil.rmtree(started.home, ignore_errors=True)


def test_the_command_line_logs_in_by_browser_and_its_session_works(cloud: Cloud, issuer: RealIssuer) -> None:
    command = [sys.executable, "-m", "cli.main", "login", "--oidc", "--no-browser"]
    running = subprocess.Popen(
        command, env=cloud.env, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdout is not None and running.stderr is not None
    address = next(line.strip() for line in running.stderr if line.strip().startswith(issuer.url))
    assert "code_challenge_method=S256" in address
    back = parse_qs(urlsplit(address).query)["redirect_uri"][0]
    # Another page of the browser that guesses the port brings a code of its own: it is not for this login.
    assert httpx.get(f"{back}?code=stolen&state=guessed", trust_env=False).status_code == 400
    assert httpx.get(address, follow_redirects=True, trust_env=False).status_code == 200
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0 and "logged in" in out, err
    said = cloud.command("get", "namespaces")
    assert said.code == 1 and "cannot list" in said.err  # known, and without any role
    cloud.do("logout")


def test_a_bearer_of_the_issuer_is_known_to_a_real_cloud(cloud: Cloud, issuer: RealIssuer) -> None:
    with cloud.http(admin=False) as client:
        good = client.get("/auth/whoami", headers={"authorization": f"Bearer {issuer.token()}"})
        bad = client.get("/auth/whoami", headers={"authorization": f"Bearer {issuer.token(aud='other')}"})
        name = good.json()["name"]
        assert (good.status_code, bad.status_code) == (200, 401), good.text
        assert name.startswith("ada-")
        # What the gateway answers by itself knows them as well: a user without a role, and nobody.
        known = client.get("/services/key-manager/x", headers={"authorization": f"Bearer {issuer.token(jti='2')}"})
        stranger = client.get("/services/key-manager/x", headers={"authorization": f"Bearer {issuer.token(aud='x')}"})
    assert (known.status_code, name in known.text) == (403, True), known.text
    assert stranger.status_code == 401
