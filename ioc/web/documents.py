"""Large answers that change seldom: made once, kept compressed, told apart by their ETag."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable

from aiohttp import web

from ioc.web.context import Document
from ioc.web.models import Nothing
from ioc.web.routing import Call


async def send_document(
    call: Call[Nothing, Nothing], name: str, *, version: object, make: Callable[[], bytes]
) -> web.StreamResponse:
    """Answer with the JSON document ``name``, made anew when ``version`` is another one."""
    documents, request = call.context.documents, call.request
    document = documents.get(name)
    if document is None or document.version != version:
        body = make()
        document = Document(
            version=version,
            etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            body=body,
            gzipped=await asyncio.to_thread(gzip.compress, body, 6, mtime=0),
        )
        documents[name] = document
    headers = {
        "ETag": document.etag,
        "Cache-Control": "private, no-cache",
        "Vary": "Accept-Encoding, Authorization, Cookie",
    }
    if _matches(request.headers.get("If-None-Match", ""), document.etag):
        return web.Response(status=304, headers=headers)
    if "gzip" in request.headers.get("Accept-Encoding", "").lower():
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=document.gzipped, headers=headers, content_type="application/json")
    return web.Response(body=document.body, headers=headers, content_type="application/json")


def _matches(header: str, etag: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in header[:4096].split(",")}
    return etag in tags or "*" in tags
