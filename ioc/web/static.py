"""The console's files. Only what was found in the folder is served, by its exact name."""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import web

from ioc.web.problems import not_found

# Vite puts a hash of the content into the name: index-BxY3kq1a.js.
_HASHED = re.compile(r"[-.][A-Za-z0-9_-]{8,}\.[a-z0-9]{2,5}$")
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
MISSING_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>IOC</title></head>
<body>
<h1>The console is not built</h1>
<p>The service runs; its API answers under <code>/api/v1/</code>. Build the console once, then
reload this page:</p>
<pre>scripts/build-console</pre>
<h1 lang="vi">Giao diện chưa được dựng</h1>
<p lang="vi">Dịch vụ đang chạy; API trả lời tại <code>/api/v1/</code>. Hãy dựng giao diện một lần
rồi tải lại trang này.</p>
</body>
</html>
"""


class Console:
    """The console's files in one folder.

    An address without a file is the console's own (``/alarms/…``) and gets ``index.html``. The
    folder is looked at again when that file is another one than before: the console was built.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}
        self._built_ns = -1

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """GET for every path that is no other route's."""
        path = request.path.lstrip("/")
        if path.startswith(("api/", "metrics")):
            raise not_found(f"There is nothing at {request.path[:200]}.")
        self._look()
        file = self._files.get(path)
        if file is None:
            if "." in path.rsplit("/", 1)[-1]:
                raise not_found(f"There is nothing at {request.path[:200]}.")
            file = self._files.get("index.html")
            if file is None:
                return web.Response(text=MISSING_PAGE, content_type="text/html", status=503)
        hashed = path.startswith("assets/") and _HASHED.search(file.name) is not None
        return web.FileResponse(
            file,
            headers={
                "Content-Type": TYPES[file.suffix],
                "Cache-Control": IMMUTABLE if hashed else REVALIDATE,
            },
        )

    def _look(self) -> None:
        try:
            built_ns = (self._folder / "index.html").stat().st_mtime_ns
        except OSError:
            built_ns = 0
        if built_ns != self._built_ns:
            self._files, self._built_ns = _files_in(self._folder), built_ns


def _files_in(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    root = folder.resolve()
    return {
        str(path.relative_to(root)): path
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and path.suffix in TYPES
        and not path.is_symlink()
        and path.resolve().is_relative_to(root)
    }


def add_console(app: web.Application, folder: Path) -> None:
    """Serve the console for everything that no route before it answers."""
    console = Console(folder)
    app.router.add_get("/{path:.*}", console.serve)
