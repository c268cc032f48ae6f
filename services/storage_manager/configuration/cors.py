"""CORS: which pages of other origins may read a bucket in a browser, and what a preflight is answered.

The first rule that fits counts. Source: S3 user guide, "Elements of a CORS configuration"; Fetch, "CORS protocol".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.storage_manager.configuration.documents import Document
from services.storage_manager.errors import S3Error

METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})
MOST_RULES, LONGEST_ID = 100, 255
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


def check_cors(document: Document) -> Document:
    """Raises S3Error MalformedXML, InvalidRequest."""
    rules = document.get("CORSRules", [])
    if not 1 <= len(rules) <= MOST_RULES:
        raise S3Error("MalformedXML", f"a CORSConfiguration has 1 to {MOST_RULES} rules")
    for rule in rules:
        _check_rule(rule)
    return document


def matching_rule(
    document: Document | None, origin: str, method: str, headers: Iterable[str] = ()
) -> Document | None:
    """The first rule for that origin and method that allows all of these (lower case) request headers."""
    wanted = list(headers)
    for rule in (document or {}).get("CORSRules", []):
        if method not in rule["AllowedMethods"] or not _matches(rule["AllowedOrigins"], origin):
            continue
        if all(_matches(rule.get("AllowedHeaders", []), each) for each in wanted):
            return rule  # type: ignore[no-any-return]
    return None


def answer_headers(rule: Document, origin: str, headers: Sequence[str] = ()) -> dict[str, str]:
    """Headers of an answer that the rule lets pages of that origin read."""
    anybody = "*" in rule["AllowedOrigins"]
    found = {
        "access-control-allow-origin": "*" if anybody else origin,
        "access-control-allow-methods": ", ".join(rule["AllowedMethods"]),
        "access-control-allow-headers": ", ".join(headers),
        "access-control-expose-headers": ", ".join(rule.get("ExposeHeaders", [])),
        "access-control-max-age": str(rule.get("MaxAgeSeconds", "")),
        "access-control-allow-credentials": "" if anybody else "true",
    }
    return {**{name: value for name, value in found.items() if value}, "vary": VARY}


def preflight_headers(document: Document | None, asked: dict[str, str]) -> dict[str, str]:
    """The answer to an OPTIONS request with these headers. Raises S3Error BadRequest, AccessForbidden."""
    origin, method = asked.get("origin", ""), asked.get("access-control-request-method", "")
    if not origin:
        raise S3Error("BadRequest", "Insufficient information. Origin request header needed.")
    if method not in METHODS:
        raise S3Error("BadRequest", f"Invalid Access-Control-Request-Method: {method[:32]}")
    if document is None:
        raise S3Error("AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.")
    names = requested_headers(asked)
    rule = matching_rule(document, origin, method, names)
    if rule is None:
        raise S3Error(
            "AccessForbidden",
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, "
            "request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted "
            "by the resource's CORS spec.",
        )
    return answer_headers(rule, origin, names)


def requested_headers(asked: dict[str, str]) -> list[str]:
    """The headers a page wants to send, in lower case."""
    return [
        text for each in asked.get("access-control-request-headers", "").split(",") if (text := each.strip().lower())
    ]


def _check_rule(rule: Document) -> None:
    for method in rule["AllowedMethods"]:
        if method not in METHODS:
            why = f"Found unsupported HTTP method in CORS config. Unsupported method is {method[:32]}"
            raise S3Error("InvalidRequest", why)
    for name in ("AllowedOrigins", "AllowedHeaders"):
        for each in rule.get(name, []):
            if each.count("*") > 1:
                raise S3Error("InvalidRequest", f'{name[:-1]} "{each[:128]}" can not have more than one wildcard.')
    for each in rule.get("ExposeHeaders", []):
        if "*" in each:
            why = "contains wildcard. We currently do not support wildcard for ExposeHeader."
            raise S3Error("InvalidRequest", f'ExposeHeader "{each[:128]}" {why}')
        _require_plain(each)
    if len(rule.get("ID", "")) > LONGEST_ID or rule.get("MaxAgeSeconds", 0) < 0:
        raise S3Error("MalformedXML", f"an ID has at most {LONGEST_ID} characters, and MaxAgeSeconds is not negative")


def _require_plain(name: str) -> None:
    """It stands in a header of the answer."""
    if not name.isascii() or not name.isprintable() or "," in name:
        raise S3Error("InvalidRequest", f"ExposeHeader {name[:128]!r} is no name of a header")


def _matches(patterns: Iterable[str], text: str) -> bool:
    """Headers are compared in any case; the text of origins is as browsers write it."""
    return any(each == "*" or each.lower() == text.lower() or _fits(each, text) for each in patterns)


def _fits(pattern: str, text: str) -> bool:
    before, star, after = pattern.lower().partition("*")
    lower = text.lower()
    return (
        bool(star) and len(lower) >= len(before) + len(after) and lower.startswith(before) and lower.endswith(after)
    )
