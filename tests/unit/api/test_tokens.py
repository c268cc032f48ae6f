"""Tokens: what this cloud signed for this audience and has not expired; nothing else, however it is dressed."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jose import jws, jwt
from unit.api.components import Hands

from api.auth.principal import AUTHENTICATED, Principal
from api.auth.tokens import TokenKeys, Tokens
from crds.errors import Unauthorized

ANN = Principal("ann", frozenset({"aerekos:viewer", AUTHENTICATED}), "team-a")


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def tokens(tmp_path: Path, clock: Hands) -> Tokens:
    return Tokens(TokenKeys(tmp_path), clock)


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def claims(tokens: Tokens, **more: Any) -> dict[str, Any]:
    return {**jwt.get_unverified_claims(tokens.issue(ANN, seconds=600)), **more}


def test_a_token_says_who_it_was_issued_for(tokens: Tokens) -> None:
    assert tokens.read(tokens.issue(ANN, seconds=60)) == ANN


def test_a_token_ends_to_the_second_even_when_it_was_seen_before(tokens: Tokens, clock: Hands) -> None:
    token = tokens.issue(ANN, seconds=60)
    fresh = Tokens(tokens.keys, clock)
    clock.forward(58)
    assert tokens.read(token) == ANN
    clock.forward(2)
    for reader in (tokens, fresh):
        with pytest.raises(Unauthorized, match="expired"):
            reader.read(token)


def test_a_token_for_one_audience_is_none_for_another(tokens: Tokens) -> None:
    token = tokens.issue(ANN, seconds=60, audience="key-manager")
    assert tokens.read(token, "key-manager") == ANN
    with pytest.raises(Unauthorized, match="audience"):
        tokens.read(token)
    ours = tokens.issue(ANN, seconds=60)
    tokens.read(ours)
    with pytest.raises(Unauthorized):  # also when it is remembered
        tokens.read(ours, "key-manager")


def test_no_signature_is_no_token(tokens: Tokens) -> None:
    for algorithm in ("none", "None", "NONE"):
        header = encoded({"alg": algorithm, "kid": tokens.keys.newest})
        with pytest.raises(Unauthorized):
            tokens.read(f"{header}.{encoded(claims(tokens))}.")


def test_the_public_key_is_no_shared_secret(tokens: Tokens, tmp_path: Path) -> None:
    """The old confusion: HS256 signed with the PEM of the public key that everybody can read."""
    private = serialization.load_pem_private_key((tmp_path / f"{tokens.keys.newest}.pem").read_bytes(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signer = {"kty": "oct", "k": base64.urlsafe_b64encode(public).rstrip(b"=").decode()}
    forged = jws.sign(claims(tokens), signer, headers={"kid": tokens.keys.newest}, algorithm="HS256")
    with pytest.raises(Unauthorized):
        tokens.read(forged)


def test_another_cloud_s_key_opens_nothing_here(tokens: Tokens) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for kid in (tokens.keys.newest, "unknown", "../jwt", ""):
        forged = jwt.encode(claims(tokens), stranger.decode(), "ES256", headers={"kid": kid})
        with pytest.raises(Unauthorized):
            tokens.read(forged)


@pytest.mark.parametrize("kid", [None, 7, [], {}, ["a"], {"a": 1}])
def test_a_key_name_of_any_shape_is_refused_not_stumbled_over(tokens: Tokens, kid: Any) -> None:
    good = tokens.issue(ANN, seconds=60)
    _, body, signature = good.split(".")
    with pytest.raises(Unauthorized):
        tokens.read(f"{encoded({'alg': 'ES256', 'kid': kid})}.{body}.{signature}")


def test_changed_claims_break_the_signature(tokens: Tokens) -> None:
    head, _, signature = tokens.issue(ANN, seconds=60).split(".")
    with pytest.raises(Unauthorized):
        tokens.read(f"{head}.{encoded(claims(tokens, sub='admin', groups=['system:masters']))}.{signature}")


@pytest.mark.parametrize("missing", ["exp", "aud", "iss", "sub"])
def test_our_own_signature_under_half_a_token_is_not_enough(tokens: Tokens, missing: str) -> None:
    half = claims(tokens)
    del half[missing]
    with pytest.raises(Unauthorized):
        tokens.read(tokens.keys.sign(half))


@given(st.text(max_size=80) | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}"))
def test_noise_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    global _NOISE
    _NOISE = _NOISE or Tokens(TokenKeys(tmp_path_factory.mktemp("keys")), Hands())
    with pytest.raises(Unauthorized):
        _NOISE.read(text)


_NOISE: Tokens | None = None


def test_a_rotated_key_signs_and_the_old_one_still_verifies(tokens: Tokens, tmp_path: Path, clock: Hands) -> None:
    before = tokens.issue(ANN, seconds=60)
    kid = tokens.keys.rotate()
    after = tokens.issue(ANN, seconds=60)
    assert jwt.get_unverified_header(after)["kid"] == kid != jwt.get_unverified_header(before)["kid"]
    restarted = Tokens(TokenKeys(tmp_path), clock)
    assert restarted.read(before) == restarted.read(after) == ANN


def test_private_keys_are_for_their_owner_only(tokens: Tokens, tmp_path: Path) -> None:
    assert [file.stat().st_mode & 0o077 for file in tmp_path.glob("*.pem")] == [0]


def test_the_key_set_verifies_and_tells_no_private_part(tokens: Tokens) -> None:
    (key,) = tokens.keys.jwks()["keys"]
    assert "d" not in key
    assert jwt.decode(tokens.issue(ANN, seconds=60), key, ["ES256"], audience="api")["sub"] == "ann"
