"""The files of the page, and the addresses of its views.

A view has an address of its own (`/rules`), and the same address with `.json` has its data (`/rules.json`).
"""

import mimetypes
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parent.parent / "page"
VIEWS: Mapping[str, str] = {
    "live": "events",
    "who": "evaluate",
    "rules": "ruleset",
    "overrides": "overrides",
    "faults": "faults",
    "clients": "clients",
    "try": "names",
    "names": "names",
    "users": "users",
}
"""Views by address, and the call of the control API that has their data."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The file's hash decides whether the browser has it: a new version of the package must not show an old page.
    "Cache-Control": "no-cache",
}


def data_of(path: str) -> str | None:
    """Return the call that has the data of a view's address with `.json`; None for any other address."""
    return VIEWS.get(path.removeprefix("/").removesuffix(".json")) if path.endswith(".json") else None


def page_file(request: web.Request, folder: Path = FOLDER) -> web.Response | None:
    """Return the response with the file of an address; None if there is none.

    Args:
        request: The request.
        folder: The folder of the files.
    """
    name = request.path.strip("/")
    is_view = name == "" or name in VIEWS
    file = _file(folder, "index.html" if is_view else name)
    if file is None or request.method not in ("GET", "HEAD"):
        return None
    body, tag = file
    headers = {**_HEADERS, "ETag": tag}
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    kind = "text/html" if is_view else mimetypes.guess_type(name)[0] or "application/octet-stream"
    charset = "utf-8" if kind.startswith("text/") or kind.endswith("javascript") else None
    return web.Response(body=body, headers=headers, content_type=kind, charset=charset)


def _file(folder: Path, name: str) -> tuple[bytes, str] | None:
    """Return a file's content and tag; None if the folder has no such file."""
    path = _files(folder).get(name)
    try:
        body = None if path is None else path.read_bytes()
    except OSError:
        return None
    return None if body is None else (body, f'"{sha256(body).hexdigest()[:16]}"')


@cache
def _files(folder: Path) -> Mapping[str, Path]:
    """Return the files of a folder by name. Only these are served, so that no name can leave the folder."""
    kinds = (".html", ".css", ".js", ".svg", ".png", ".woff2", ".json")
    return {
        str(path.relative_to(folder).as_posix()): path for path in sorted(folder.rglob("*")) if path.suffix in kinds
    }
