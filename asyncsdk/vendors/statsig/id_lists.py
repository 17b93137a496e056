"""Statsig's ID lists: which files to download, and from where.

A manifest names each list's file, and a file only grows. So a list is kept current by reading its file from the last
known size on, unless the manifest names another file (`generation`). `id_list_files` parses what was read.

The manifest may name a file at any address, so the secret key is sent only to Statsig's own origins and to those in the
settings.

Sources: statsig-python-core 0.24.0, statsig 0.72.1 (Python), statsig-node 6.
"""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import attrs
import orjson

from asyncsdk._model.values import Value
from asyncsdk.vendors._base import ListFile, Request
from asyncsdk.vendors.statsig.id_list_files import BadListError, IdList
from asyncsdk.vendors.statsig.ruleset import CDN, LISTS_PATH

_MAX_MANIFEST_BYTES = 1_000_000
"""Maximum size of a manifest, enough for thousands of lists; it is parsed in one go."""
Origin = tuple[str, str, int]
"""Scheme, host and port of an address."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@attrs.frozen(eq=False, repr=False)
class DownloadPlan(Value):
    """What to do after reading a manifest.

    Attributes:
        read: The files to read, each from its `start`.
        drop: The names of lists that no longer exist.
    """

    read: tuple[ListFile, ...]
    drop: tuple[str, ...]


def build_manifest_request(url: str | None, secret_key: str, headers: Mapping[str, str]) -> Request:
    """Build the request for the manifest: a GET to Statsig's own address, an empty POST to any other, as its SDKs do.

    Args:
        url: Address of the manifest; None for Statsig's own.
        secret_key: The project's server secret key.
        headers: The common headers.
    """
    key = quote(secret_key, safe="")
    path = f"{LISTS_PATH}/{key}.json"
    address = CDN + path if url is None else url
    method = "GET" if address.startswith(CDN + LISTS_PATH) else "POST"
    wanted = {**headers, "Accept-Encoding": "gzip, deflate"}
    return Request(address, path, wanted, b"", method=method, purpose="id_lists", secret=key)


def build_file_request(file: ListFile, headers: Mapping[str, str], trusted: Collection[Origin]) -> Request:
    """Build the request for a file from `file.start` on, uncompressed, so that offsets are those of the file itself.

    Args:
        file: The file.
        headers: The common headers, with the secret key.
        trusted: The origins that the common headers may be sent to; other origins get none of them.
    """
    url = file.url
    # The range goes into the query for Statsig's CDN, and into a header for any other server.
    is_foreign = origin_of(url) not in trusted
    wanted = {**({} if is_foreign else headers), "Accept-Encoding": "identity"}
    if takes_range_in_query(file):
        url += f"{'&' if '?' in url else '?'}range={file.start}-"
    else:
        wanted |= {"Range": f"bytes={file.start}-", "statsig-id-list-file-size": str(file.size)}
    path = "/" + url.partition("://")[2].partition("/")[2]
    return Request(url, path, wanted, b"", method="GET", purpose="id_lists", is_foreign=is_foreign)


def origin_of(url: str) -> Origin | None:
    """Return the origin of an http(s) address; None for anything else, or if programs may parse it differently."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    default = {"https": 443, "http": 80}.get(parts.scheme)
    if default is None or not host or not url.isascii() or not url.isprintable() or any(c in url for c in " \\@"):
        return None
    return parts.scheme, host, default if port is None else port


def plan_downloads(manifest: bytes, current: Mapping[str, IdList]) -> DownloadPlan:
    """Return which files to read and which lists to drop.

    Args:
        manifest: The manifest as received.
        current: The current lists, by name.

    Raises:
        BadListError: The bytes are not a manifest.
    """
    if len(manifest) > _MAX_MANIFEST_BYTES:
        msg = f"the manifest of ID lists is larger than {_MAX_MANIFEST_BYTES:,} bytes"
        raise BadListError(msg)
    try:
        entries = orjson.loads(manifest.removeprefix(_BYTE_ORDER_MARK))
    except orjson.JSONDecodeError:
        entries = None
    if not isinstance(entries, dict):
        msg = "the manifest of ID lists is not a JSON object"
        raise BadListError(msg)
    files = [file for name, entry in entries.items() if (file := _parse_entry(name, entry)) is not None]
    # An invalid entry keeps its list as it is; a list is dropped only if the manifest does not name it.
    read = tuple(wanted for file in files if (wanted := _next_read(file, current.get(file.name))) is not None)
    return DownloadPlan(read, tuple(name for name in current if name not in entries))


def _parse_entry(name: str, entry: Any) -> ListFile | None:
    """Return the file that an entry of the manifest names; None if a field is missing or invalid."""
    match entry:
        case {"url": str(url), "fileID": str(generation), "creationTime": int(created), "size": int(size)}:
            return ListFile(name, url, generation, created, size) if origin_of(url) is not None else None
    return None


def _next_read(file: ListFile, current: IdList | None) -> ListFile | None:
    """Return a file with the offset to read from; None if there is nothing new."""
    # 1. A new list, or another file: read it from its start. 2. A file that grew: read the rest. 3. Nothing new.
    if current is None or file.generation != current.generation or file.created_ms > current.created_ms:
        return file
    return attrs.evolve(file, start=current.size) if file.size > current.size else None


def takes_range_in_query(file: ListFile) -> bool:
    """Return whether the range of a request for a file is in the query: Statsig's CDN expects it there."""
    return origin_of(file.url) == origin_of(CDN)
