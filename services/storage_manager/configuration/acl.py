"""Access control lists: canned ones, grants in headers and in documents, and what they give to whom.

A list gives rights to accounts, to everybody signed in (`AuthenticatedUsers`), or to everybody (`AllUsers`).
Source: S3 user guide, "Access control list (ACL) overview".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.storage_manager.configuration.documents import Document
from services.storage_manager.configuration.owners import account_of_canonical
from services.storage_manager.errors import S3Error

GROUPS = "http://acs.amazonaws.com/groups/"
EVERYBODY, SIGNED_IN = f"{GROUPS}global/AllUsers", f"{GROUPS}global/AuthenticatedUsers"
LOG_DELIVERY = f"{GROUPS}s3/LogDelivery"
PUBLIC = frozenset({EVERYBODY, SIGNED_IN})
PERMISSIONS = ("FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP")
CANNED, GRANT_HEADERS = "x-amz-acl", {
    "x-amz-grant-read": "READ",
    "x-amz-grant-write": "WRITE",
    "x-amz-grant-read-acp": "READ_ACP",
    "x-amz-grant-write-acp": "WRITE_ACP",
    "x-amz-grant-full-control": "FULL_CONTROL",
}  # fmt: skip
MOST_GRANTS = 100
# What says a list beside a body, as members of the model.
GRANTS = ("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")
_CANNED: dict[str, tuple[tuple[str, str], ...]] = {
    "private": (),
    "public-read": ((EVERYBODY, "READ"),),
    "public-read-write": ((EVERYBODY, "READ"), (EVERYBODY, "WRITE")),
    "authenticated-read": ((SIGNED_IN, "READ"),),
    "log-delivery-write": ((LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")),
}
BUCKET_OWNERS = "bucket-owner-full-control"
_OF_BUCKET_OWNER = {"bucket-owner-read": "READ", BUCKET_OWNERS: "FULL_CONTROL"}


def canned_acl(name: str, owner: Document, bucket_owner: Document | None = None) -> Document:
    """`bucket_owner`: of an object's bucket; None for the list of a bucket. Raises S3Error InvalidArgument."""
    if name not in _CANNED and (bucket_owner is None or name not in _OF_BUCKET_OWNER):
        raise S3Error("InvalidArgument", f"{CANNED}: there is no canned ACL {name[:80]!r} for this")
    grants = [_grant(_group(uri), permission) for uri, permission in _CANNED.get(name, ())]
    if bucket_owner is not None and name in _OF_BUCKET_OWNER and bucket_owner["ID"] != owner["ID"]:
        grants.append(_grant(_user(bucket_owner), _OF_BUCKET_OWNER[name]))
    return {"Owner": owner, "Grants": [*grants, _grant(_user(owner), "FULL_CONTROL")]}


def acl_of_headers(
    headers: Mapping[str, str], owner: Document, bucket_owner: Document | None = None
) -> Document | None:
    """What a request says of a new thing's list, or None. Raises S3Error InvalidArgument, InvalidRequest."""
    given = [name for name in GRANT_HEADERS if name in headers]
    if CANNED in headers:
        if given:
            raise S3Error("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
        return canned_acl(headers[CANNED], owner, bucket_owner)
    if not given:
        return None
    return {"Owner": owner, "Grants": [each for name in given for each in _grants_of(name, headers[name])]}


def check_acl(document: Document, owner: Document) -> Document:
    """A list in a body, for what that account owns. Raises S3Error MalformedACLError, InvalidArgument."""
    said = document.get("Owner", {}).get("ID")
    if said is None:
        raise S3Error("MalformedACLError", "an AccessControlPolicy says its Owner")
    if said != owner["ID"]:
        raise S3Error("AccessDenied", "the Owner of an AccessControlPolicy cannot be changed")
    grants = document.get("Grants", [])
    if len(grants) > MOST_GRANTS:
        raise S3Error("MalformedACLError", f"an AccessControlPolicy has at most {MOST_GRANTS} grants")
    return {"Owner": owner, "Grants": [_checked(each) for each in grants]}


def gives(document: Document, permission: str, account: str | None, *, public: bool = True) -> bool:
    """Whether it gives that to an account, or to who does not sign (None). `public`: whether groups count."""
    return any(
        each["Permission"] in (permission, "FULL_CONTROL") and _is_of(each["Grantee"], account, public=public)
        for each in document["Grants"]
    )


def is_public_acl(document: Document) -> bool:
    """Whether it gives anything to people of any account, or to everybody."""
    return any(each["Grantee"].get("URI") in PUBLIC for each in document["Grants"])


def _is_of(grantee: Document, account: str | None, *, public: bool) -> bool:
    if grantee["Type"] == "Group":
        return public and (grantee["URI"] == EVERYBODY or (grantee["URI"] == SIGNED_IN and account is not None))
    return account is not None and account_of_canonical(grantee["ID"]) == account


def _checked(grant: Document) -> Document:
    if grant.get("Permission") not in PERMISSIONS or "Grantee" not in grant:
        raise S3Error("MalformedACLError", f"a Grant has a Grantee and one of {', '.join(PERMISSIONS)}")
    grantee = grant["Grantee"]
    if grantee["Type"] == "Group":
        return _grant(_known_group(grantee.get("URI", "")), grant["Permission"])
    if grantee["Type"] == "AmazonCustomerByEmail":
        raise _no_email()
    return _grant(_known_user(grantee.get("ID", "")), grant["Permission"])


def _grants_of(name: str, text: str) -> Iterable[Document]:
    """`id="...", uri="..."`."""
    for each in text.split(","):
        how, equals, value = each.strip().partition("=")
        value = value.strip().strip('"')
        if how.strip().lower() == "emailaddress":
            raise _no_email()
        if not equals or how.strip().lower() not in ("id", "uri"):
            raise S3Error("InvalidArgument", f'{name} is a list of id="..." and uri="..."')
        yield _grant(_known_user(value) if how.strip().lower() == "id" else _known_group(value), GRANT_HEADERS[name])


def _known_group(uri: str) -> dict[str, Any]:
    if uri not in (*PUBLIC, LOG_DELIVERY):
        raise S3Error("InvalidArgument", "Invalid group uri")
    return _group(uri)


def _known_user(id: str) -> dict[str, Any]:
    if account_of_canonical(id) is None:
        raise S3Error("InvalidArgument", "Invalid id")
    return {"Type": "CanonicalUser", "ID": id}


def _group(uri: str) -> dict[str, Any]:
    return {"Type": "Group", "URI": uri}


def _user(owner: Document) -> dict[str, Any]:
    return {"Type": "CanonicalUser", "ID": owner["ID"], "DisplayName": owner["DisplayName"]}


def _grant(grantee: dict[str, Any], permission: str) -> Document:
    return {"Grantee": grantee, "Permission": permission}


def _no_email() -> S3Error:
    return S3Error(
        "UnresolvableGrantByEmailAddress", "The e-mail address you provided does not match any account on record."
    )
