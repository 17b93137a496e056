"""Statsig's ID lists: which files to download, and how their bytes change the current lists.

A list's file only grows; each line adds (`+`) or removes (`-`) one entry. A manifest names the files. So a list is kept
current by reading its file from the last known size on, unless the manifest names another file (`generation`).

Sources: statsig-python-core 0.24.0, statsig 0.72.1 (Python), statsig-node 6.
"""

from collections.abc import Generator, Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import quote

import attrs
import orjson

from asyncsdk.vendors._base import ListFile, Request, Response

CDN = "https://api.statsigcdn.com"
PATH = "/v1/get_id_lists"
# Work between two yields to the event loop: bytes when reading a list, entries when writing one.
_SLICE_BYTES = 12_000
_SLICE_ENTRIES = 1_000
_TRAILER_MARK = b"# "
_MARKS = b"+-"
_SCHEMES = ("https://", "http://")


class BadListError(ValueError):
    """Raised for bytes that are not a manifest, or not a list; the message says which."""


@attrs.define
class IdList:
    """The current contents of a list.

    Attributes:
        generation: Generation of the file that was read.
        created_ms: Creation time of that generation, in milliseconds since 1970.
        size: Number of bytes read so far.
        entries: The entries: hashes of ids.
    """

    generation: str
    created_ms: int
    size: int = 0
    entries: set[str] = attrs.field(factory=set, repr=False)


@attrs.frozen
class DownloadPlan:
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
    path = f"{PATH}/{key}.json"
    address = CDN + path if url is None else url
    method = "GET" if address.startswith(CDN + PATH) else "POST"
    wanted = {**headers, "Accept-Encoding": "gzip, deflate"}
    return Request(address, path, wanted, b"", method=method, purpose="id_lists", secret=key)


def build_file_request(file: ListFile, headers: Mapping[str, str]) -> Request:
    """Build the request for a file from `file.start` on, uncompressed, so that offsets count its own bytes."""
    url = file.url
    # The range goes into the query for Statsig's CDN, and into a header for any other server.
    wanted = {**headers, "Accept-Encoding": "identity"}
    if _takes_range_in_query(file):
        url += f"{'&' if '?' in url else '?'}range={file.start}-"
    else:
        wanted |= {"Range": f"bytes={file.start}-", "statsig-id-list-file-size": str(file.size)}
    path = "/" + url.partition("://")[2].partition("/")[2]
    return Request(url, path, wanted, b"", method="GET", purpose="id_lists")


def plan_downloads(manifest: bytes, current: Mapping[str, IdList]) -> DownloadPlan:
    """Return which files to read and which lists to drop.

    Args:
        manifest: The manifest as received.
        current: The current lists, by name.

    Raises:
        BadListError: The bytes are not a manifest.
    """
    try:
        entries = orjson.loads(manifest)
    except orjson.JSONDecodeError:
        entries = None
    if not isinstance(entries, dict):
        msg = "the manifest of ID lists is not a JSON object"
        raise BadListError(msg)
    files = [file for name, entry in entries.items() if (file := _parse_entry(name, entry)) is not None]
    # An invalid entry keeps its list as it is; a list is dropped only if the manifest does not name it.
    read = tuple(wanted for file in files if (wanted := _next_read(file, current.get(file.name))) is not None)
    return DownloadPlan(read, tuple(name for name in current if name not in entries))


def apply_file(file: ListFile, response: Response, current: IdList | None) -> Generator[None, None, IdList]:
    """Return a list after applying a file's bytes; yields between slices, so that the event loop is not blocked.

    Bytes that continue the file change `current` in place; a complete file creates a new list.

    Args:
        file: The file, and from where it was read.
        response: The response to the request for it.
        current: The current list; None if there is none.

    Raises:
        BadListError: The bytes are not a list: an error page, for example.
    """
    body = response.body
    if body and body[0] not in _MARKS:
        msg = "the file of an ID list begins with neither + nor -"
        raise BadListError(msg)
    continues = current is not None and file.start > 0 and not _is_whole(file, response)
    result = current if current is not None and continues else IdList(file.generation, file.created_ms)
    # An incomplete last line is left for the next request: `size` counts whole lines only.
    end = body.rfind(b"\n") + 1
    for start, until in _slices(body, end):
        _apply(body[start:until].decode("latin-1"), result.entries)
        yield
    result.size += end
    return result


def snapshot(current: IdList) -> Generator[None, None, bytes]:
    """Return a list as bytes for a cache; yields between slices.

    The format is that of a file with each entry once, as Statsig's SDKs cache it, and a trailer line that they skip:
    the file's generation, and how many of its bytes were read.
    """
    entries, lines = iter(current.entries), list[bytes]()
    while batch := list(islice(entries, _SLICE_ENTRIES)):
        lines.append(("+" + "\n+".join(batch) + "\n").encode("latin-1"))
        yield
    trailer = {"fileID": current.generation, "creationTime": current.created_ms, "size": current.size}
    return b"".join((*lines, _TRAILER_MARK, orjson.dumps(trailer)))


def restore(body: bytes) -> Generator[None, None, IdList | None]:
    """Return a list from the bytes of `snapshot`, or None without a valid trailer; yields between slices."""
    lines, _, trailer = body.rpartition(_TRAILER_MARK)
    try:
        match orjson.loads(trailer):
            case {"fileID": str(generation), "creationTime": int(created), "size": int(size)}:
                result = IdList(generation, created, size)
            case _:
                return None
    except orjson.JSONDecodeError:
        return None
    for start, end in _slices(lines, len(lines)):
        _apply(lines[start:end].decode("latin-1"), result.entries)
        yield
    return result


def _slices(body: bytes, end: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of slices of whole lines, up to `end`."""
    at = 0
    while at < end:
        until = min(body.find(b"\n", at + _SLICE_BYTES) + 1 or end, end)
        yield at, until
        at = until


def _apply(lines: str, entries: set[str]) -> None:
    for line in lines.split("\n"):
        entry = line[1:].strip()
        if entry and line[0] == "+":
            entries.add(entry)
        elif entry and line[0] == "-":
            entries.discard(entry)


def _parse_entry(name: str, entry: Any) -> ListFile | None:
    """Return the file that an entry of the manifest names; None if a field is missing or invalid."""
    match entry:
        case {"url": str(url), "fileID": str(generation), "creationTime": int(created), "size": int(size)}:
            return ListFile(name, url, generation, created, size) if url.startswith(_SCHEMES) else None
    return None


def _next_read(file: ListFile, current: IdList | None) -> ListFile | None:
    """Return a file with the offset to read from; None if there is nothing new."""
    # 1. A new list, or another file: read it from its start. 2. A file that grew: read the rest. 3. Nothing new.
    if current is None or file.generation != current.generation or file.created_ms > current.created_ms:
        return file
    return attrs.evolve(file, start=current.size) if file.size > current.size else None


def _takes_range_in_query(file: ListFile) -> bool:
    return file.url.startswith(CDN)


def _is_whole(file: ListFile, response: Response) -> bool:
    """Return whether the server ignored the range.

    A range in a header is acknowledged by status 206. A 200 says nothing about one in the query, so the size decides.
    """
    return response.status == 200 and (not _takes_range_in_query(file) or len(response.body) >= file.size)
