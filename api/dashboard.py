"""The dashboard's files: `/`, `/ui/...` (its screens, one page) and `/assets/...`.

The build names assets by their content, so they may be kept forever; the page itself is asked for each time.
Everything is read into memory once per build: a path is a name in a dict, never a way into the file system.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from api.asgi import Response, Scope

BUILT = Path(__file__).resolve().parents[1] / "dashboard" / "dist"
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
    ".woff2": b"font/woff2",
    ".txt": b"text/plain; charset=utf-8",
    ".webmanifest": b"application/manifest+json",
}
_ENCODINGS = {b"br": ".br", b"gzip": ".gz"}
_FOREVER = b"public, max-age=31536000, immutable"
_STYLE = "body{background:#08090c;color:#e9e4d6;font:16px/1.6 system-ui;padding:12vh 8vw}code{color:#d9b45f}"
_NOT_BUILT = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>aerekos</title><style>{_STYLE}</style>
<h1>The dashboard is not built yet</h1>
<p>The cloud itself runs. Build the dashboard on this machine, then reload this page:</p>
<p><code>make dashboard</code></p>
<p>Until then: <code>aerekos status</code>, <code>aerekos get services</code>, <code>kubectl</code>.</p></html>
""".encode()


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _policy(*styles: str) -> bytes:
    """Nothing but our own files. React Native for Web makes one empty <style> and fills it by script; its hash is
    that of nothing."""
    allowed = " ".join(f"'sha256-{_digest(style)}'" for style in styles)
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self' {allowed}; img-src 'self' data: blob:; "
        "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ).encode()


# No Strict-Transport-Security: with our own CA a browser would then refuse people who have not installed it yet.
_SAFE = (
    (b"content-security-policy", _policy("")),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)


@dataclass(frozen=True, slots=True)
class _File:
    """One file of the build, with the compressed forms made beside it. `tag` is its ETag."""

    content_type: bytes
    plain: bytes
    packed: dict[bytes, bytes]
    tag: bytes
    forever: bool


class Dashboard:
    """Serves what `make dashboard` put into `folder`; a new build is noticed at the next page load."""

    def __init__(self, folder: Path = BUILT) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}
        self._built_at = 0.0

    @staticmethod
    def serves(scope: Scope) -> bool:
        """Whether that path and method are the dashboard's."""
        path: str = scope["path"]
        ours = _is_page(path) or path.startswith("/assets/") or path in _ROOT_FILES
        return ours and scope["method"] in ("GET", "HEAD")

    def answer(self, scope: Scope) -> Response:
        """The page or the file; 404 and 503 say what to do."""
        path: str = scope["path"]
        page = _is_page(path)
        if page or not self._files:
            self._load()
        if not self._files:
            return Response(503, _NOT_BUILT, _TYPES[".html"], (*_not_built_headers(), (b"retry-after", b"30")))
        file = self._files.get("/index.html" if page else path)
        if file is None:
            return Response(
                404, b"there is no such file; reload the page: a newer dashboard was built", b"text/plain"
            )
        return _answer(file, dict(scope["headers"]))

    def _load(self) -> None:
        try:
            built_at = (self._folder / "index.html").stat().st_mtime
        except OSError:
            return  # not built yet, or just being built: what is known stays
        if built_at == self._built_at and self._files:
            return
        found = (file for file in sorted(self._folder.rglob("*")) if file.suffix in _TYPES)
        self._files = {f"/{file.relative_to(self._folder).as_posix()}": _read(file) for file in found}
        self._built_at = built_at


_ROOT_FILES = ("/favicon.svg",)


def _is_page(path: str) -> bool:
    return path == "/" or path == "/ui" or path.startswith("/ui/")


def _read(file: Path) -> _File:
    plain = file.read_bytes()
    packed = {
        name: other.read_bytes()
        for name, suffix in _ENCODINGS.items()
        if (other := file.with_name(file.name + suffix)).is_file()
    }
    tag = f'"{hashlib.sha256(plain).hexdigest()[:32]}"'.encode()
    return _File(_TYPES[file.suffix], plain, packed, tag, forever=file.parent.name == "assets")


def _answer(file: _File, asked: dict[bytes, bytes]) -> Response:
    headers = [
        *_SAFE,
        (b"etag", file.tag),
        (b"vary", b"accept-encoding"),
        (b"cache-control", _FOREVER if file.forever else b"no-cache"),
    ]
    if file.tag in asked.get(b"if-none-match", b""):
        return Response(304, b"", file.content_type, tuple(headers))
    accepted = {part.partition(b";")[0].strip() for part in asked.get(b"accept-encoding", b"").split(b",")}
    encoding = next((name for name in _ENCODINGS if name in accepted and name in file.packed), None)
    if encoding is None:
        return Response(200, file.plain, file.content_type, tuple(headers))
    return Response(200, file.packed[encoding], file.content_type, (*headers, (b"content-encoding", encoding)))


def _not_built_headers() -> tuple[tuple[bytes, bytes], ...]:
    return ((b"content-security-policy", _policy(_STYLE)), *_SAFE[1:], (b"cache-control", b"no-store"))
