"""What of AWS IAM and STS is done here, and why the rest is refused."""

from __future__ import annotations

from services.iam_manager.app import OPERATIONS, STS_OPERATIONS
from services.sdk.aws.coverage import Coverage, served_operations
from services.sdk.aws.model import load_model

IAM_COVERAGE = Coverage(
    "iam",
    served_operations(load_model("iam"), OPERATIONS),
    refused=(
        ("users log in with ID tokens (OIDC) or a password of this cloud: there is no SAML", ("SAML",)),
        ("passwords are set in this cloud's own way: aerekos user passwd", ("LoginProfile", "ChangePassword")),
        ("second factors are enrolled in the dashboard", ("MFA",)),
        ("certificates are made by this cloud's own authority", ("ServerCertificate", "SigningCertificate")),
        ("no service here takes these passwords", ("ServiceSpecificCredential",)),
        ("one cloud is no organization", ("Organization",)),
    ),
    answer="InvalidAction",
)
STS_COVERAGE = Coverage(
    "sts",
    served_operations(load_model("sts"), STS_OPERATIONS),
    refused=(
        ("there is no SAML", ("SAML",)),
        ("one cloud is no organization", ("AssumeRoot", "GetDelegatedAccessToken")),
        ("programs prove themselves with tokens of their service account", ("GetWebIdentityToken",)),
    ),
    answer="InvalidAction",
)
COVERAGE = (IAM_COVERAGE, STS_COVERAGE)
