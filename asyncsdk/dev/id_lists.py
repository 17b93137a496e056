"""Statsig's ID lists, and the manifest that names their files.

A list is a file that only grows. Each line adds (`+hash`) or removes (`-hash`) a unit, so that a client that has the
first n bytes asks for the rest with a `Range` header. A list that is replaced starts a new file with another id.

Source: statsig-python-core 0.24.0 and statsig 0.72.1, which read them. Pure.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from urllib.parse import quote

import attrs

from asyncsdk.dev.messages import TEXT, Reply
from asyncsdk.dev.received_event import Json

_RANGE = re.compile(r"(?:bytes=)?(\d{0,18})-(\d{0,18})")


@attrs.frozen
class ServedIdList:
    """One file of an ID list.

    Attributes:
        name: Name of the list.
        created: Time of creation of the file, in milliseconds since 1970.
        text: Content of the file.
        entries: The hashed units that are in the list.
    """

    name: str
    created: int
    text: bytes = attrs.field(default=b"", repr=False)
    entries: frozenset[str] = attrs.field(default=frozenset(), repr=False)

    @property
    def file_id(self) -> str:
        """The id of the file, which differs from that of any other file of the list."""
        return f"{self.name}-{self.created}"

    def with_lines(self, add: Iterable[str], remove: Iterable[str]) -> "ServedIdList":
        """Return the list with further lines that add and remove units, given as unhashed ids."""
        added, removed = [entry(unit) for unit in add], [entry(unit) for unit in remove]
        lines = [*(f"+{unit}\n" for unit in added), *(f"-{unit}\n" for unit in removed)]
        return attrs.evolve(
            self, text=self.text + "".join(lines).encode(), entries=(self.entries | set(added)) - set(removed)
        )


def entry(unit: str) -> str:
    """Return the hash of a unit id that a list holds: 8 characters of its SHA-256 in base64."""
    return base64.b64encode(sha256(unit.encode()).digest()).decode()[:8]


def manifest(lists: Mapping[str, ServedIdList], base_url: str) -> dict[str, Json]:
    """Build the manifest: name, size, address and id of every list's file."""
    return {
        name: {
            "name": name,
            "size": len(id_list.text),
            "url": f"{base_url}/v1/download_id_list_file/{quote(id_list.file_id, safe='')}",
            "creationTime": id_list.created,
            "fileID": id_list.file_id,
        }
        for name, id_list in lists.items()
    }


def serve(text: bytes, wanted: str) -> Reply:
    """Build the reply with a file, or with the part of it that a `Range` header requests.

    Args:
        text: Content of the file.
        wanted: `bytes=7-`, `bytes=7-9` or `bytes=-3`, each also without `bytes=`. Any other value, such as `""`,
            requests the whole file.
    """
    # An empty file is sent whole, since no range of it can be satisfied.
    size = len(text)
    match = _RANGE.fullmatch(wanted.strip())
    if match is None or not any(match.groups()) or not size:
        return Reply(200, text, {"Content-Type": TEXT, "Accept-Ranges": "bytes"})
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        return Reply(416, headers={"Content-Range": f"bytes */{size}"})
    return Reply(206, text[start:end], {"Content-Type": TEXT, "Content-Range": f"bytes {start}-{end - 1}/{size}"})
