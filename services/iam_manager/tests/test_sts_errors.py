"""Refusals of the conductor's STS in AWS's words: its code, and the HTTP status of the model."""

from __future__ import annotations

import pytest

from crds.errors import ApiError, BadRequest, Cause, Forbidden, Invalid, NotFound, TooManyRequests, Unauthorized
from services.iam_manager.errors import as_sts_error
from services.sdk.aws.model import load_model


def coded(code: str) -> BadRequest:
    return BadRequest("why", causes=(Cause("field", "why", code),))


CASES: list[tuple[ApiError, str, int]] = [
    (coded("MalformedPolicyDocument"), "MalformedPolicyDocument", 400),
    (coded("PackedPolicyTooLarge"), "PackedPolicyTooLarge", 400),
    (coded("InvalidIdentityToken"), "InvalidIdentityToken", 400),
    (coded("ExpiredTokenException"), "ExpiredTokenException", 400),
    (coded("IDPRejectedClaim"), "IDPRejectedClaim", 403),
    (coded("InvalidAuthorizationMessageException"), "InvalidAuthorizationMessageException", 400),
    (coded("SomethingElse"), "ValidationError", 400),
    (Invalid("a field"), "ValidationError", 400),
    (NotFound("gone"), "ValidationError", 400),
    (Forbidden("no"), "AccessDenied", 403),
    (Unauthorized("ended"), "InvalidClientTokenId", 403),
    (TooManyRequests("wait", retry_after=1), "Throttling", 400),
]


@pytest.mark.parametrize(("error", "code", "status"), CASES)
def test_a_refusal_has_aws_s_code(error: ApiError, code: str, status: int) -> None:
    told = as_sts_error(error)
    assert (told.code, told.status) == (code, status) and told.message


def test_codes_of_the_model_have_its_status() -> None:
    for code, status in load_model("sts").errors.items():
        told = as_sts_error(coded(code))
        assert told.code == "ValidationError" or told.status == status, code
