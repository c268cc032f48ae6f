"""Operations on the lists of objects, of each version for itself."""

from __future__ import annotations

from typing import Any

from services.storage_manager.answers import render_answer
from services.storage_manager.configuration.acl import GRANTS
from services.storage_manager.configuration.bucket_access import (
    acl_of_request,
    bucket_rules,
    known_namespaces,
    require_acl_counts,
)
from services.storage_manager.configuration.new_acls import object_acl
from services.storage_manager.configuration.owners import named, owner_of
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.metadata import Object
from services.storage_manager.object_tags import change_attributes
from services.storage_manager.objects import find_object
from services.storage_manager.operations import operation

ACL = "acl"


@operation("GetObjectAcl", action="s3:GetObjectAcl", verb="get", understands=("VersionId",))
async def get_object_acl(context: S3Context, request: S3Request) -> S3Response:
    """GetObjectAcl."""
    ref = await context.bucket(request)
    found = find_object(context, ref, request.key, request.query.get("versionId"))
    acl = object_acl(found.attributes.get(ACL), owner_of(ref.namespace))
    return S3Response(content=render_answer(request.operation, named(acl, known_namespaces(context, request))))


@operation("PutObjectAcl", action="s3:PutObjectAcl", verb="update", understands=("VersionId", *GRANTS))
async def put_object_acl(context: S3Context, request: S3Request) -> S3Response:
    """PutObjectAcl: a canned list, grants in headers, or a document. The owner stays who it is."""
    ref, version = await context.writable_bucket(request), request.query.get("versionId")
    found, owner = find_object(context, ref, request.key, version), owner_of(ref.namespace)
    now = object_acl(found.attributes.get(ACL), owner)
    acl = await acl_of_request(request, now["Owner"], owner)
    require_acl_counts(bucket_rules(context, ref), acl, request)

    def change(kept: Object) -> dict[str, Any]:
        return {**kept.attributes, ACL: acl}

    await change_attributes(context, ref, request, change, "ObjectAcl:Put")
    return S3Response()
