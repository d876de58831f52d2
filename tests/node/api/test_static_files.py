"""Static files of ``ASGIApp``: which file a path means, its type, and that no path leaves the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Wire, get
from tests.support.inprocess import Way, serve


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name in ("index.html", "app.js", "style.css", "a.png", "b.jpg", "c.gif", "d.json", "e.txt", "f.bin"):
        (tmp_path / name).write_text(f"<{name}>")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "index.html").write_text("<sub/index.html>")
    (tmp_path / "sub" / "start.html").write_text("<sub/start.html>")
    (tmp_path / "sub" / "deep.js").write_text("<sub/deep.js>")
    (tmp_path.parent / "secret.txt").write_text("secret")
    return tmp_path


TYPES = {
    "index.html": "text/html",
    "app.js": "application/javascript",
    "style.css": "text/css",
    "a.png": "image/png",
    "b.jpg": "image/jpeg",
    "c.gif": "image/gif",
    "d.json": "application/json",
    "e.txt": "text/plain",
    "f.bin": "application/octet-stream",
}


@pytest.mark.parametrize("name", TYPES)
async def test_types_by_extension(flavour: Way, site: Path, name: str) -> None:
    app = roomcast.ASGIApp(roomcast.AsyncServer(), static_files={"/files": str(site)})
    async with serve(app, flavour) as base:
        response = await get(base, f"/files/{name}")
        assert (response.status_code, response.text) == (200, f"<{name}>")
        assert response.headers["content-type"].split(";")[0] == TYPES[name]


ROUTES: list[tuple[dict[str, Any], str, str | None]] = [
    ({"/": "index.html"}, "/", "<index.html>"),
    ({"/": "index.html"}, "/other", None),
    ({"/page": "index.html"}, "/page", "<index.html>"),
    ({"/page": {"filename": "index.html", "content_type": "text/plain"}}, "/page", "<index.html>"),
    ({"/static": ""}, "/static/app.js", "<app.js>"),
    ({"/static/": ""}, "/static/app.js", "<app.js>"),
    ({"/static": ""}, "/static/sub/deep.js", "<sub/deep.js>"),
    ({"/static": ""}, "/static/", "<index.html>"),
    ({"/static": ""}, "/static/sub/", "<sub/index.html>"),
    ({"/static": "", "": "start.html"}, "/static/sub/", "<sub/start.html>"),
    ({"/static": "", "": {"filename": "start.html"}}, "/static/sub/", "<sub/start.html>"),
    ({"/static": "", "/static/sub": "app.js"}, "/static/sub", "<app.js>"),
    ({"/static": "", "/static/sub": "sub"}, "/static/sub/deep.js", "<sub/deep.js>"),
    ({"/static": ""}, "/static/missing.js", None),
    ({"/static": ""}, "/staticapp.js", None),
    ({"/static": ""}, "/static/../secret.txt", None),
    ({"/static": ""}, "/static/%2e%2e/secret.txt", None),
    ({"/static": ""}, "/static/sub/../../secret.txt", None),
    ({"/static": ""}, "/static/..%2fsecret.txt", None),
    ({"/static": ""}, "/static//etc/passwd", None),
]


@pytest.mark.parametrize(("files", "path", "body"), ROUTES, ids=lambda value: str(value))
async def test_which_file_is_served(
    flavour: Way, site: Path, files: dict[str, Any], path: str, body: str | None
) -> None:
    """Asked for on a bare connection: an HTTP client would tidy the path up."""

    def real(entry: Any) -> Any:
        if isinstance(entry, dict):
            return entry if entry["filename"] == "start.html" else {**entry, "filename": str(site / entry["filename"])}
        return entry if entry == "start.html" else str(site / entry) if entry else str(site)

    app = roomcast.ASGIApp(roomcast.AsyncServer(), static_files={url: real(entry) for url, entry in files.items()})
    async with serve(app, flavour) as base:
        wire = await Wire.open(base)
        await wire.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        response = await wire.rest()
        await wire.aclose()
        if body is None:
            assert response.startswith(b"HTTP/1.1 404 ")
            assert b"secret" not in response
        else:
            assert response.startswith(b"HTTP/1.1 200 ")
            assert body.encode() in response
        if isinstance(files.get("/page"), dict):
            assert b"content-type: text/plain" in response
