"""The website in a bucket: index and error documents, redirects. The gateway marks what came to a website's host.

Whoever looks at it is nobody: what is shown is what the bucket's policy or lists give to everybody.
Source: S3 user guide, "Hosting a static website using Amazon S3", "Website endpoints".
"""

from __future__ import annotations

from dataclasses import replace
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING

from services.storage_manager.configuration.website_routing import (
    MOVED,
    Asked,
    Redirect,
    error_key,
    folder_redirect,
    index_key,
    redirect_of,
)
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.objects import LOCATION

if TYPE_CHECKING:
    from services.storage_manager.configuration.documents import Document

SITE, WEBSITE = "x-aerekos-website", "website"
_NO_SITE = "The specified bucket does not have a website configuration"
# Of a page for errors these are its own matter: it is shown whole, whatever was asked for.
_CONDITIONS = frozenset(
    {"range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"}
)


async def answer_website(context: S3Context, request: S3Request) -> S3Response:
    """As a browser is to see it; errors are pages, too. `request`: a GetObject or HeadObject of its path."""
    asked = Asked(request.headers.get("host", ""), request.key)
    site: Document | None = None
    try:
        ref = await context.locate(request)
        site = context.metadata.recent(ref.id).documents.get(WEBSITE)
        if site is None:
            raise S3Error("NoSuchWebsiteConfiguration", _NO_SITE, {"BucketName": request.bucket})
        if (elsewhere := redirect_of(site, asked)) is not None:
            return _sent(elsewhere)
        return await _page(context, request, site, asked)
    except S3Error as fault:
        return await _failed(context, request, site, asked, fault)


async def _page(context: S3Context, request: S3Request, site: Document, asked: Asked) -> S3Response:
    key = index_key(site, asked.key)
    try:
        found = await _read(context, replace(request, key=key))
    except S3Error:
        if key == asked.key and await _is_folder(context, request, site, asked):
            return _sent(folder_redirect(asked))
        raise
    if (target := found.headers.get(LOCATION)) is not None:
        return _sent(Redirect(MOVED, target))
    return found


async def _is_folder(context: S3Context, request: S3Request, site: Document, asked: Asked) -> bool:
    try:
        await _read(context, replace(request, key=index_key(site, f"{asked.key}/"), method="HEAD", headers={}))
    except S3Error:
        return False
    return True


async def _failed(
    context: S3Context, request: S3Request, site: Document | None, asked: Asked, fault: S3Error
) -> S3Response:
    """The redirect that a rule has for it, the bucket's own page, or ours."""
    if site is not None and fault.status >= 400:
        if (elsewhere := redirect_of(site, asked, fault.status)) is not None:
            return _sent(elsewhere)
        if key := error_key(site):
            headers = {name: value for name, value in request.headers.items() if name not in _CONDITIONS}
            try:
                found = await _read(context, replace(request, key=key, headers=headers))
            except S3Error:
                return _error_page(request, fault)
            found.status = fault.status
            return found
    return _error_page(request, fault)


async def _read(context: S3Context, request: S3Request) -> S3Response:
    """Raises S3Error, of who may not list the bucket AccessDenied for what is not there."""
    try:
        return await request.declared.handler(context, request)
    except S3Error as fault:
        if fault.code == "NoSuchKey":
            await context.require_may_know(request)
        raise


def _sent(to: Redirect) -> S3Response:
    return S3Response(to.status, {"location": to.location})


def _error_page(request: S3Request, fault: S3Error) -> S3Response:
    title = f"{fault.status} {HTTPStatus(fault.status).phrase}"
    told = {"Code": fault.code, "Message": fault.message, **fault.fields, "RequestId": request.id}
    items = "".join(f"<li>{escape(name)}: {escape(str(value))}</li>\n" for name, value in told.items())
    body = f"<h1>{title}</h1>\n<ul>\n{items}</ul>\n<hr/>"
    page = f"<html>\n<head><title>{title}</title></head>\n<body>\n{body}\n</body>\n</html>\n"
    headers = {"content-type": "text/html; charset=utf-8", **fault.headers}
    return S3Response(fault.status, headers, page.encode())
