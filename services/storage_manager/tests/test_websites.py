"""Websites in buckets, as the gateway asks for them: documents, errors and redirects, to anybody and nobody else."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sdk.testing import ServiceHarness
from services.storage_manager.configuration.website_routing import Asked, folder_redirect, redirect_of

Json = dict[str, Any]
HOST = "box.s3-website.cloud.lan"


class Site:
    """The website of a bucket, whose objects anybody may read but those below `private/`."""

    def __init__(self, s3: Any, house: ServiceHarness, bucket: str) -> None:
        self.s3, self.url, self.bucket = s3, house.url, bucket
        s3.delete_public_access_block(Bucket=bucket)
        public = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        closed = {**public, "Effect": "Deny", "Resource": f"arn:aws:s3:::{bucket}/private/*"}
        listed = {**public, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"}
        policy = {"Version": "2012-10-17", "Statement": [public, closed, listed]}
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    def configure(self, **document: Any) -> None:
        self.s3.put_bucket_website(Bucket=self.bucket, WebsiteConfiguration=document)

    def put(self, key: str, body: str, **more: Any) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body.encode(), **more)

    def get(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        told = {"x-aerekos-website": "1", "host": HOST, **headers}
        return httpx.request(method, f"{self.url}/{self.bucket}{path}", headers=told)


@pytest.fixture
def site(s3: Any, house: ServiceHarness, bucket: str) -> Site:
    return Site(s3, house, bucket)


def test_pages_and_errors(site: Site) -> None:
    site.configure(IndexDocument={"Suffix": "index.html"}, ErrorDocument={"Key": "oops.html"})
    site.put("index.html", "<h1>home</h1>", ContentType="text/html")
    site.put("docs/index.html", "docs")
    site.put("a b.txt", "plain")
    site.put("private/x", "secret")
    missing = site.get("/nowhere")
    assert missing.status_code == 404 and "<li>Code: NoSuchKey</li>" in missing.text
    site.put("oops.html", "sorry", ContentType="text/html")
    home = site.get("/")
    assert (home.text, home.headers["content-type"]) == ("<h1>home</h1>", "text/html")
    assert (site.get("/docs/").text, site.get("/a%20b.txt").text) == ("docs", "plain")
    folder = site.get("/docs")
    assert (folder.status_code, folder.headers["location"]) == (302, f"https://{HOST}/docs/")
    for path, status in (("/nowhere", 404), ("/nowhere/", 404), ("/private/x", 403)):
        answer = site.get(path, Range="bytes=0-1")
        assert (answer.status_code, answer.text) == (status, "sorry"), path
    head = site.get("/", "HEAD")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "13")
    assert site.get("/", **{"if-none-match": home.headers["etag"]}).status_code == 304
    assert site.get("/a%20b.txt", Range="bytes=1-2").text == "la"
    assert site.get("/x", "PUT").status_code == 405


def test_what_is_not_public_or_no_site_is_not_shown(s3: Any, house: ServiceHarness, site: Site) -> None:
    site.put("index.html", "home")
    assert site.get("/").status_code == 404 and "NoSuchWebsiteConfiguration" in site.get("/").text
    site.configure(IndexDocument={"Suffix": "index.html"})
    s3.delete_bucket_policy(Bucket=site.bucket)
    refused = site.get("/<script>")
    assert refused.status_code == 403 and "home" not in site.get("/").text and "<script>" not in refused.text


def test_redirects(site: Site) -> None:
    site.put("index.html", "home")
    site.put("moved", "", WebsiteRedirectLocation="/index.html")
    rules = [
        {
            "Condition": {"KeyPrefixEquals": "old/"},
            "Redirect": {"ReplaceKeyPrefixWith": "new/", "HttpRedirectCode": "307"},
        },
        {
            "Condition": {"HttpErrorCodeReturnedEquals": "404", "KeyPrefixEquals": "app/"},
            "Redirect": {"ReplaceKeyWith": "index.html", "HostName": "example.org", "Protocol": "http"},
        },
    ]
    site.configure(IndexDocument={"Suffix": "index.html"}, RoutingRules=rules)
    where = {path: site.get(path) for path in ("/old/a%20b", "/app/x", "/moved")}
    assert {path: (each.status_code, each.headers["location"]) for path, each in where.items()} == {
        "/old/a%20b": (307, f"https://{HOST}/new/a%20b"),
        "/app/x": (301, "http://example.org/index.html"),
        "/moved": (301, "/index.html"),
    }
    site.configure(RedirectAllRequestsTo={"HostName": "example.org"})
    answer = site.get("/any/where?x=1")
    assert (answer.status_code, answer.headers["location"]) == (301, "https://example.org/any/where")


_HOSTS = st.from_regex(r"[a-z][a-z0-9.-]{0,20}(:[0-9]{1,5})?", fullmatch=True) | st.text(max_size=20)


@given(st.text(max_size=30), _HOSTS)
def test_no_host_leads_out_of_a_location(key: str, host: str) -> None:
    """Whatever an earlier version kept."""
    found = redirect_of({"RedirectAllRequestsTo": {"HostName": host}}, Asked(HOST, key))
    assert found is not None and found.location.isascii() and found.location.isprintable()
    assert host.isascii() is False or "%" in found.location or found.location.startswith(f"https://{host}/")


@given(st.text(max_size=30))
def test_a_folder_is_of_the_same_host(key: str) -> None:
    found = folder_redirect(Asked(HOST, key))
    assert found.status == 302 and found.location.startswith(f"https://{HOST}/") and found.location.endswith("/")


@given(
    st.text(min_size=1, max_size=30),
    st.sampled_from(["", "a/"]),
    st.sampled_from(["ReplaceKeyWith", "ReplaceKeyPrefixWith"]),
)
def test_no_key_leads_out_of_a_location(key: str, prefix: str, how: str) -> None:
    """Neither into another header, nor to another host."""
    site: Json = {"RoutingRules": [{"Condition": {"KeyPrefixEquals": prefix}, "Redirect": {how: key}}]}
    found = redirect_of(site, Asked(HOST, f"{prefix}{key}"))
    assert found is not None and found.location.startswith(f"https://{HOST}/")
    assert found.location.isascii() and found.location.isprintable() and " " not in found.location
