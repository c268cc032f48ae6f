"""What is kept here never acts as the dashboard: a page among the objects has an origin of its own, and no script."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from clouds import Cloud, a_port
from hypothesis import given
from hypothesis import strategies as st
from unit.api.components import ADMIN, House, make_house

from api.edge.user_content import guarded, refuse_service_worker
from crds.errors import Forbidden

NAVIGATION = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]
FRAME = [(b"sec-fetch-dest", b"iframe")]
SIGNED = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=00"
ACTIVE = [
    "text/html", "TEXT/HTML; charset=utf-8", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml",
    "text/javascript", "application/pdf", "multipart/x-mixed-replace", "text/xsl", "application/octet-stream", "",
]  # fmt: skip
PASSIVE = ["image/png", "image/jpeg", "video/mp4", "audio/ogg", "text/plain; charset=utf-8", "application/json"]


def of(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


@pytest.mark.parametrize("request_headers", [NAVIGATION, FRAME])
@pytest.mark.parametrize("type_", ACTIVE)
def test_what_could_be_a_page_is_saved_not_shown(type_: str, request_headers: list[tuple[bytes, bytes]]) -> None:
    answer = guarded([(b"content-type", type_.encode())], request_headers, shared=True)
    assert of(answer, b"content-disposition") == [b"attachment"]


@pytest.mark.parametrize("type_", PASSIVE)
def test_what_is_only_looked_at_is_shown(type_: str) -> None:
    assert not of(guarded([(b"content-type", type_.encode())], NAVIGATION, shared=True), b"content-disposition")


@pytest.mark.parametrize("type_", ACTIVE + PASSIVE)
def test_clients_that_are_no_browser_do_not_notice(type_: str) -> None:
    sent = [(b"content-type", type_.encode()), (b"content-disposition", b'inline; filename="a"'), (b"etag", b'"1"')]
    assert guarded(sent, [(b"user-agent", b"aws-cli")], shared=True)[:3] == sent


THEIRS = st.lists(
    st.tuples(
        st.sampled_from([b"content-security-policy", b"Set-Cookie", b"clear-site-data", b"x-content-type-options",
                         b"service-worker-allowed", b"content-type", b"etag", b"refresh"]),
        st.binary(max_size=20),
    ),
    max_size=8,
)  # fmt: skip


@given(THEIRS, st.sampled_from([[], NAVIGATION, FRAME]), st.booleans())
def test_no_header_of_theirs_weakens_ours(
    headers: list[tuple[bytes, bytes]], asked: list[tuple[bytes, bytes]], shared: bool
) -> None:
    answer = guarded(headers, asked, shared=shared)
    [policy] = of(answer, b"content-security-policy")
    words = [each.strip() for each in policy.split(b";")]
    assert b"sandbox" in words and b"default-src 'none'" in words and b"allow-" not in policy
    assert not any(each.startswith(b"script-src") for each in words)
    assert of(answer, b"x-content-type-options") == [b"nosniff"]
    names = {name.lower() for name, _ in answer}
    assert not names & {b"set-cookie", b"clear-site-data", b"service-worker-allowed", b"refresh"}


def test_no_service_worker_comes_from_there() -> None:
    with pytest.raises(Forbidden):
        refuse_service_worker([(b"service-worker", b"script")])
    refuse_service_worker([(b"accept", b"*/*")])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    yield made
    await made.close()


@pytest.mark.anyio
async def test_every_answer_of_the_gateway_has_them(house: House) -> None:
    async with house.client() as client:
        signed = await client.get("/bucket/key", headers={"authorization": SIGNED})
        proxied = await client.get("/services/web/x", headers=house.bearer(ADMIN))
        worker = await client.get("/services/web/x", headers={**house.bearer(ADMIN), "service-worker": "script"})
        own = await client.get("/version")
    assert signed.headers["cross-origin-resource-policy"] == "cross-origin"
    assert proxied.headers["cross-origin-resource-policy"] == "same-origin"
    for answer in (signed, proxied, worker):
        assert answer.headers["content-security-policy"].startswith("sandbox;"), answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert worker.status_code == 403
    assert own.headers["x-content-type-options"] == "nosniff" and "content-security-policy" not in own.headers


PAGE = "<!doctype html><p id=p>still</p><script>document.getElementById('p').textContent='R'+'AN'</script>"
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>document.documentElement.setAttribute("a","R"+"AN")</script></svg>'


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("origin") / "home", a_port())
    running.do("up")
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


def presigned(cloud: Cloud, key: str, type_: str) -> str:
    """A link to that object, to be answered with that type, as an SDK makes it."""
    env = cloud.aws_env()
    client = boto3.client(
        "s3",
        endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    wanted = {"Bucket": "pages", "Key": key, "ResponseContentType": type_}
    return str(client.generate_presigned_url("get_object", Params=wanted))


def shown(url: str, folder: Path, cloud: Cloud, seconds: float) -> str:
    """What a real browser makes of that address in that time."""
    program = shutil.which("chromium")
    assert program
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--ignore-certificate-errors",
        "--virtual-time-budget=3000",
    ]
    command = [program, *options, f"--user-data-dir={folder}", "--dump-dom", url]
    try:
        return subprocess.run(
            command, env=cloud.env, capture_output=True, text=True, timeout=seconds, check=False
        ).stdout
    except subprocess.TimeoutExpired as saved:
        return (saved.stdout or b"").decode()


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium: make browser")
def test_a_real_browser_runs_nothing_that_is_kept_here(cloud: Cloud, tmp_path: Path) -> None:
    control = tmp_path / "control.html"
    control.write_text(PAGE)
    begun = time.monotonic()
    assert "RAN" in shown(control.as_uri(), tmp_path / "profile", cloud, 60)  # this browser does run scripts
    # What is saved is never shown, and the browser waits for ever: so long that it had run them several times.
    enough = 4 * (time.monotonic() - begun) + 2
    assert cloud.aws("s3", "mb", "s3://pages").code == 0
    for name, content in (("page.html", PAGE), ("picture.svg", SVG)):
        (tmp_path / name).write_text(content)
        assert cloud.aws("s3", "cp", str(tmp_path / name), f"s3://pages/{name}").code == 0
        link = presigned(cloud, name, "text/html" if name == "page.html" else "image/svg+xml")
        assert "RAN" not in shown(link, tmp_path / "profile", cloud, enough)
        with cloud.http(admin=False) as client:
            kept = client.get(link)
        assert kept.text == content and "sandbox" in kept.headers["content-security-policy"]
