"""Operations on what decides who may use a bucket: its policy, its list, the public access block, ownership."""

from __future__ import annotations

from services.sdk.aws.accounts import account_of
from services.storage_manager.answers import render_answer
from services.storage_manager.authorization import require_keeps_access
from services.storage_manager.configuration.access import BucketRules
from services.storage_manager.configuration.acl import (
    BUCKET_OWNERS,
    CANNED,
    GRANT_HEADERS,
    GRANTS,
    acl_of_headers,
    canned_acl,
    check_acl,
    is_public_acl,
)
from services.storage_manager.configuration.bucket_policy import check_bucket_policy
from services.storage_manager.configuration.documents import Document, read_document
from services.storage_manager.configuration.owners import named, owner_of
from services.storage_manager.configuration.ownership import Ownership, check_ownership, ownership_document
from services.storage_manager.configuration.public_access import (
    block_document,
    check_block,
    is_public_policy,
    require_acl_not_public,
    require_policy_not_public,
)
from services.storage_manager.configuration.rules import ACL, BLOCK, OWNERSHIP, POLICY, REMOVED, rules_of
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.operations import operation


@operation(
    "PutBucketPolicy", action="s3:PutBucketPolicy", verb="update", understands=("ConfirmRemoveSelfBucketAccess",)
)
async def put_policy(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketPolicy. One that would shut out whoever writes it needs their word that they mean it."""
    ref = await context.writable_bucket(request)
    text = check_bucket_policy((await request.document()).decode(), ref.name)
    require_policy_not_public(bucket_rules(context, ref).block, text)
    if request.headers.get("x-amz-confirm-remove-self-bucket-access", "").lower() != "true":
        await require_keeps_access(context.directory, request, ref, text)
    await context.put_configuration(ref, POLICY, {"Policy": text})
    return S3Response(204)


@operation("GetBucketPolicy", action="s3:GetBucketPolicy", verb="get")
async def get_policy(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketPolicy: the text as it was written."""
    ref = await context.bucket(request)
    return S3Response(headers={"content-type": "application/json"}, content=_policy(context, ref).encode())


@operation("GetBucketPolicyStatus", action="s3:GetBucketPolicyStatus", verb="get")
async def get_policy_status(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketPolicyStatus: whether the policy or the list makes the bucket public."""
    ref = await context.bucket(request)
    rules = bucket_rules(context, ref)
    by_list = rules.ownership is not Ownership.ENFORCED and rules.acl is not None and is_public_acl(rules.acl)
    public = (by_list and not rules.block.ignore_acls) or bool(rules.policy and is_public_policy(rules.policy))
    return S3Response(content=render_answer(request.operation, {"PolicyStatus": {"IsPublic": public}}))


@operation("DeleteBucketPolicy", action="s3:DeleteBucketPolicy", verb="update")
async def delete_policy(context: S3Context, request: S3Request) -> S3Response:
    """DeleteBucketPolicy."""
    await context.drop_configuration(await context.bucket(request), POLICY)
    return S3Response(204)


@operation("PutBucketAcl", action="s3:PutBucketAcl", verb="update", understands=GRANTS)
async def put_acl(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketAcl: a canned list, grants in headers, or a document."""
    ref = await context.writable_bucket(request)
    rules = bucket_rules(context, ref)
    acl = await acl_of_request(request, owner_of(ref.namespace))
    require_acl_counts(rules, acl, request)
    await context.put_configuration(ref, ACL, acl)
    return S3Response()


@operation("GetBucketAcl", action="s3:GetBucketAcl", verb="get")
async def get_acl(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketAcl."""
    ref = await context.bucket(request)
    acl = context.configuration(ref, ACL) or canned_acl("private", owner_of(ref.namespace))
    return S3Response(content=render_answer(request.operation, named(acl, known_namespaces(context, request))))


@operation("PutPublicAccessBlock", action="s3:PutBucketPublicAccessBlock", verb="update")
async def put_block(context: S3Context, request: S3Request) -> S3Response:
    """PutPublicAccessBlock."""
    ref = await context.writable_bucket(request)
    document = check_block(read_document(request.operation, await request.document()))
    await context.put_configuration(ref, BLOCK, document)
    return S3Response()


@operation("GetPublicAccessBlock", action="s3:GetBucketPublicAccessBlock", verb="get")
async def get_block(context: S3Context, request: S3Request) -> S3Response:
    """GetPublicAccessBlock: everything is blocked where nothing was said."""
    ref = await context.bucket(request)
    if context.configuration(ref, BLOCK) == REMOVED:
        why = "The public access block configuration was not found"
        raise S3Error("NoSuchPublicAccessBlockConfiguration", why)
    document = block_document(bucket_rules(context, ref).block)
    return S3Response(content=render_answer(request.operation, {"PublicAccessBlockConfiguration": document}))


@operation("DeletePublicAccessBlock", action="s3:PutBucketPublicAccessBlock", verb="update")
async def delete_block(context: S3Context, request: S3Request) -> S3Response:
    """DeletePublicAccessBlock: nothing is blocked any more."""
    await context.put_configuration(await context.bucket(request), BLOCK, REMOVED)
    return S3Response(204)


@operation("PutBucketOwnershipControls", action="s3:PutBucketOwnershipControls", verb="update")
async def put_ownership(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketOwnershipControls. Lists that give something must go before they count no more."""
    ref = await context.writable_bucket(request)
    document = check_ownership(read_document(request.operation, await request.document()))
    kept = context.configuration(ref, ACL)
    if document["Rules"][0]["ObjectOwnership"] == Ownership.ENFORCED and kept and len(kept["Grants"]) > 1:
        why = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
        raise S3Error("InvalidBucketAclWithObjectOwnership", why)
    await context.put_configuration(ref, OWNERSHIP, document)
    return S3Response()


@operation("GetBucketOwnershipControls", action="s3:GetBucketOwnershipControls", verb="get")
async def get_ownership(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketOwnershipControls: enforced where nothing was said."""
    ref = await context.bucket(request)
    if context.configuration(ref, OWNERSHIP) == REMOVED:
        raise S3Error("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
    document = ownership_document(bucket_rules(context, ref).ownership)
    return S3Response(content=render_answer(request.operation, {"OwnershipControls": document}))


@operation("DeleteBucketOwnershipControls", action="s3:PutBucketOwnershipControls", verb="update")
async def delete_ownership(context: S3Context, request: S3Request) -> S3Response:
    """DeleteBucketOwnershipControls: each object is its writer's from then on."""
    await context.put_configuration(await context.bucket(request), OWNERSHIP, REMOVED)
    return S3Response(204)


async def acl_of_request(request: S3Request, owner: Document, bucket_owner: Document | None = None) -> Document:
    """The list of a PutBucketAcl or PutObjectAcl. Raises S3Error MissingSecurityHeader, UnexpectedContent."""
    by_headers, body = acl_of_headers(request.headers, owner, bucket_owner), await request.document()
    if by_headers is None and not body.strip():
        raise S3Error("MissingSecurityHeader", "say the ACL by x-amz-acl, by x-amz-grant-..., or in the body")
    if by_headers is not None:
        if body.strip():
            raise S3Error("UnexpectedContent", "This request does not support content: its headers say the ACL")
        return by_headers
    return check_acl(read_document(request.operation, body), owner)


def require_acl_counts(rules: BucketRules, acl: Document, request: S3Request) -> None:
    """Raises S3Error AccessControlListNotSupported, AccessDenied for a list that would not count, or be public.

    Where ownership is enforced, a list may say what holds anyway, as a canned one or as a document: s3cmd copies so.
    Source: CreateBucket in the S3 API reference, `ObjectOwnership`.
    """
    if rules.ownership is Ownership.ENFORCED and not _is_owners_alone(acl, request):
        raise S3Error("AccessControlListNotSupported", "The bucket does not allow ACLs")
    require_acl_not_public(rules.block, acl)


def _is_owners_alone(acl: Document, request: S3Request) -> bool:
    said = [name for name in (CANNED, *GRANT_HEADERS) if name in request.headers]
    if said:
        return said == [CANNED] and request.headers[CANNED] == BUCKET_OWNERS
    grants = [(each["Grantee"].get("ID"), each["Permission"]) for each in acl["Grants"]]
    return grants == [(acl["Owner"]["ID"], "FULL_CONTROL")]


def bucket_rules(context: S3Context, ref: BucketRef) -> BucketRules:
    """The bucket's side of a decision."""
    return rules_of(account_of(ref.namespace), context.metadata.configurations(ref.id))


def _policy(context: S3Context, ref: BucketRef) -> str:
    kept = context.configuration(ref, POLICY)
    if kept is None:
        raise S3Error("NoSuchBucketPolicy", "The bucket policy does not exist")
    return str(kept["Policy"])


def known_namespaces(context: S3Context, request: S3Request) -> set[str]:
    """Those that may be named in an answer: of buckets there are, and the caller's own."""
    return {request.caller.namespace} | context.directory.namespaces()
