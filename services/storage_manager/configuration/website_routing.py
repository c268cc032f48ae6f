"""Where a website's configuration sends a request: redirects of everything, of rules, and of errors. Pure.

Source: S3 user guide, "(Optional) Using advanced conditional redirects"; S3 API reference, RoutingRule.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from services.storage_manager.configuration.documents import Document

MOVED = 301


class Asked(NamedTuple):
    """A request: the host as it was asked (`photos.s3-website.cloud.lan:7443`), and the key that its path names."""

    host: str
    key: str


class Redirect(NamedTuple):
    """A status of 3XX, and where to."""

    status: int
    location: str


def index_key(site: Document, key: str) -> str:
    """The object that a path means: below a folder, its index document."""
    return f"{key}{site['IndexDocument']['Suffix']}" if not key or key.endswith("/") else key


def error_key(site: Document) -> str:
    """The object that is shown for errors; empty for none."""
    return str((site.get("ErrorDocument") or {}).get("Key", ""))


def redirect_of(site: Document, asked: Asked, failed: int | None = None) -> Redirect | None:
    """Where the request is sent, before anything is read or, with `failed`, after that error; None for nowhere."""
    everything = site.get("RedirectAllRequestsTo")
    if everything is not None:
        return Redirect(MOVED, _location(everything, asked, asked.key))
    for rule in site.get("RoutingRules", ()):
        condition = rule.get("Condition") or {}
        code = condition.get("HttpErrorCodeReturnedEquals")
        prefix = condition.get("KeyPrefixEquals", "")
        if (None if code is None else int(code)) == failed and asked.key.startswith(prefix):
            redirect = rule["Redirect"]
            status = int(redirect.get("HttpRedirectCode", MOVED))
            return Redirect(status, _location(redirect, asked, _key(redirect, asked.key, prefix)))
    return None


def folder_redirect(asked: Asked) -> Redirect:
    """To the folder of that name, whose index document there is. A path alone might be read as a host: `//name/`."""
    return Redirect(302, _location({}, asked, f"{asked.key}/"))


def _key(redirect: Document, key: str, prefix: str) -> str:
    if "ReplaceKeyWith" in redirect:
        return str(redirect["ReplaceKeyWith"])
    if "ReplaceKeyPrefixWith" in redirect:
        return str(redirect["ReplaceKeyPrefixWith"]) + key[len(prefix) :]
    return key


def _location(redirect: Document, asked: Asked, key: str) -> str:
    protocol, host = redirect.get("Protocol", "https"), redirect.get("HostName", asked.host)
    return f"{protocol}://{quote(host, safe=':[]')}/{quote(key)}"
