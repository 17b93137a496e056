"""Statsig's ID lists: which files to read, and what their bytes do to the lists that are held.

A list's file only grows; each line adds (`+`) or removes (`-`) one entry. A manifest names the files.

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
_SLICE_BYTES = 12_000
_SLICE_ENTRIES = 1_000
_TRAILER_MARK = b"# "
_MARKS = b"+-"
_SCHEMES = ("https://", "http://")


class BadListError(ValueError):
    """Raised for bytes that are no manifest, or no list; the text says which."""


@attrs.define
class IdList:
    """A list that is held.

    Attributes:
        generation: Of the file it was read from.
        created_ms: When that generation was made.
        size: How many bytes of the file were read.
        entries: What is in the list.
    """

    generation: str
    created_ms: int
    size: int = 0
    entries: set[str] = attrs.field(factory=set, repr=False)


@attrs.frozen
class DownloadPlan:
    """What a manifest means for the lists that are held.

    Attributes:
        read: The files to read.
        drop: The lists that are no more.
    """

    read: tuple[ListFile, ...]
    drop: tuple[str, ...]


def build_manifest_request(url: str | None, secret_key: str, headers: Mapping[str, str]) -> Request:
    """Ask for the manifest: of Statsig's own address with a GET, of any other with an empty POST, as it wants it."""
    key = quote(secret_key, safe="")
    path = f"{PATH}/{key}.json"
    address = CDN + path if url is None else url
    method = "GET" if address.startswith(CDN + PATH) else "POST"
    wanted = {**headers, "Accept-Encoding": "gzip, deflate"}
    return Request(address, path, wanted, b"", method=method, purpose="id_lists", secret=key)


def build_file_request(file: ListFile, headers: Mapping[str, str]) -> Request:
    """Ask for a file from a byte on, uncompressed, so that bytes can be counted."""
    url = file.url
    wanted = {**headers, "Accept-Encoding": "identity"}
    if _takes_range_in_query(file):
        url += f"{'&' if '?' in url else '?'}range={file.start}-"
    else:
        wanted |= {"Range": f"bytes={file.start}-", "statsig-id-list-file-size": str(file.size)}
    path = "/" + url.partition("://")[2].partition("/")[2]
    return Request(url, path, wanted, b"", method="GET", purpose="id_lists")


def plan_downloads(manifest: bytes, held: Mapping[str, IdList]) -> DownloadPlan:
    """Say which files to read from where, and which lists to drop.

    Raises:
        BadListError: It is no manifest.
    """
    try:
        entries = orjson.loads(manifest)
    except orjson.JSONDecodeError:
        entries = None
    if not isinstance(entries, dict):
        msg = "the manifest of ID lists is no JSON object"
        raise BadListError(msg)
    files = [file for name, entry in entries.items() if (file := _parse_entry(name, entry)) is not None]
    read = tuple(wanted for file in files if (wanted := _next_read(file, held.get(file.name))) is not None)
    return DownloadPlan(read, tuple(name for name in held if name not in entries))


def apply_file(file: ListFile, response: Response, held: IdList | None) -> Generator[None, None, IdList]:
    """Give the list that a file's bytes make of the one that is held; yields between slices.

    Bytes that continue the list are added to it in place; a whole file makes a new one.

    Raises:
        BadListError: It is no list: an error page, for example.
    """
    body = response.body
    if body and body[0] not in _MARKS:
        msg = "the file of an ID list begins with neither + nor -"
        raise BadListError(msg)
    continues = held is not None and file.start > 0 and not _is_whole(file, response)
    result = held if held is not None and continues else IdList(file.generation, file.created_ms)
    end = body.rfind(b"\n") + 1
    for start, until in _slices(body, end):
        _apply(body[start:until].decode("latin-1"), result.entries)
        yield
    result.size += end
    return result


def snapshot(held: IdList) -> Generator[None, None, bytes]:
    """Write a list so that it can be kept; yields between slices.

    It is a file that has each entry once, as Statsig's SDKs keep it, and a last line that they skip: which file it
    was, and how much of it.
    """
    entries, lines = iter(held.entries), list[bytes]()
    while some := list(islice(entries, _SLICE_ENTRIES)):
        lines.append(("+" + "\n+".join(some) + "\n").encode("latin-1"))
        yield
    place = {"fileID": held.generation, "creationTime": held.created_ms, "size": held.size}
    return b"".join((*lines, _TRAILER_MARK, orjson.dumps(place)))


def restore(body: bytes) -> Generator[None, None, IdList | None]:
    """Read a list that was kept; None when it does not say how much of which file it is. Yields between slices."""
    lines, _, place = body.rpartition(_TRAILER_MARK)
    try:
        match orjson.loads(place):
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
    """Cut whole lines into slices."""
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
    """Read an entry of the manifest; None when something is missing."""
    match entry:
        case {"url": str(url), "fileID": str(generation), "creationTime": int(created), "size": int(size)}:
            return ListFile(name, url, generation, created, size) if url.startswith(_SCHEMES) else None
    return None


def _next_read(file: ListFile, held: IdList | None) -> ListFile | None:
    """Say from where to read a file; None when nothing is new."""
    if held is None or file.generation != held.generation or file.created_ms > held.created_ms:
        return file
    return attrs.evolve(file, start=held.size) if file.size > held.size else None


def _takes_range_in_query(file: ListFile) -> bool:
    return file.url.startswith(CDN)


def _is_whole(file: ListFile, response: Response) -> bool:
    """Say whether the range was ignored. Where it stood in the query a 200 tells nothing, so the size decides."""
    return response.status == 200 and (not _takes_range_in_query(file) or len(response.body) >= file.size)
