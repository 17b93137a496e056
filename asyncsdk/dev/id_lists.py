"""Statsig's ID lists: files that grow, each line adding or removing a unit, and the list of these files.

Source: statsig-python-core 0.24.0 and statsig 0.72.1, which read them. Pure.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from urllib.parse import quote

import attrs

from asyncsdk.dev.messages import TEXT, Json, Reply

_RANGE = re.compile(r"(?:bytes=)?(\d{0,18})-(\d{0,18})")


@attrs.frozen
class ServedIdList:
    """One generation of an ID list.

    Attributes:
        name: Name of the list.
        created: When this generation began, in milliseconds since 1970.
        text: The file.
        entries: The units in it, hashed.
    """

    name: str
    created: int
    text: bytes = attrs.field(default=b"", repr=False)
    entries: frozenset[str] = attrs.field(default=frozenset(), repr=False)

    @property
    def file_id(self) -> str:
        """What names this generation."""
        return f"{self.name}-{self.created}"

    def grown(self, add: Iterable[str], remove: Iterable[str]) -> "ServedIdList":
        """Give the list with units added and removed by further lines; ids are given as they are."""
        added, removed = [entry(unit) for unit in add], [entry(unit) for unit in remove]
        lines = [*(f"+{one}\n" for one in added), *(f"-{one}\n" for one in removed)]
        return attrs.evolve(
            self, text=self.text + "".join(lines).encode(), entries=(self.entries | set(added)) - set(removed)
        )


def entry(unit: str) -> str:
    """Write a unit id as a list holds it."""
    return base64.b64encode(sha256(unit.encode()).digest()).decode()[:8]


def manifest(lists: Mapping[str, ServedIdList], base_url: str) -> dict[str, Json]:
    """List the files, at this server's address."""
    return {
        name: {
            "name": name,
            "size": len(found.text),
            "url": f"{base_url}/v1/download_id_list_file/{quote(found.file_id, safe='')}",
            "creationTime": found.created,
            "fileID": found.file_id,
        }
        for name, found in lists.items()
    }


def serve(text: bytes, wanted: str) -> Reply:
    """Answer with a file, or with the part of it that a `Range` asks for; one that makes no sense asks for all.

    Args:
        text: The file.
        wanted: `bytes=7-`, `bytes=7-9`, `bytes=-3`, each also without `bytes=`; "" asks for all.
    """
    size = len(text)
    asked = _RANGE.fullmatch(wanted.strip())
    if asked is None or not any(asked.groups()) or not size:
        return Reply(200, text, {"Content-Type": TEXT, "Accept-Ranges": "bytes"})
    first, last = asked.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        return Reply(416, headers={"Content-Range": f"bytes */{size}"})
    return Reply(206, text[start:end], {"Content-Type": TEXT, "Content-Range": f"bytes {start}-{end - 1}/{size}"})
