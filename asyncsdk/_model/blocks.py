"""What a spool keeps: blocks, each of them the records that one commit holds for one destination.

A block names its destination, tells when it was written, and carries a checksum over all of it: one that was damaged
is told apart from every other, and nothing of it is ever sent.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import attrs

from asyncsdk._model.receipts import Record

# Magic (no text begins so), checksum of all that follows, bytes in all, records, milliseconds since 1970, bytes of the
# destination's name.
_HEAD = struct.Struct("<4sIIIQI")
_MAGIC = b"\xffAS1"
_CHECKED_FROM = 8
_CHECKSUM = struct.Struct("<I")
# Ids may hold anything that Python calls text.
_TEXT = ("utf-8", "surrogatepass")
_EXPOSURE = 1


class BlockError(Exception):
    """What was read is no block, or is damaged."""


class StoredRecord(NamedTuple):
    """One record as it is kept; the fields are those of `Record`."""

    key: str
    also: str | None
    id: str
    chunk: bytes
    is_exposure: bool


@attrs.frozen(eq=False, repr=False)
class Block:
    """A block as it was read.

    Attributes:
        destination: Whose it is.
        time_ms: When it was written, in milliseconds since 1970.
        records: In the order in which they were accepted.
    """

    destination: str
    time_ms: int
    records: Sequence[StoredRecord]


def pack_block(destination: str, time_ms: int, records: Iterable[Record]) -> bytearray:
    """Write a block."""
    lengths: list[int] = []
    kinds = bytearray()
    parts: list[bytes] = []
    for record in records:
        key, event_id = record.key.encode("utf-8", "surrogatepass"), record.id.encode("utf-8", "surrogatepass")
        also, chunk = record.also, record.chunk
        if also is None:
            lengths += (len(key), 0, len(event_id), len(chunk))
            parts += (key, event_id, chunk)
        else:
            second = also.encode(*_TEXT)
            lengths += (len(key), len(second) + 1, len(event_id), len(chunk))
            parts += (key, second, event_id, chunk)
        kinds.append(_EXPOSURE if record.exposures else 0)
    name = destination.encode(*_TEXT)
    size = _HEAD.size + len(name) + 17 * len(kinds) + sum(map(len, parts))
    head = _HEAD.pack(_MAGIC, 0, size, len(kinds), time_ms, len(name))
    # Joined only once: so much memory costs more than all of the above.
    block = bytearray().join((head, name, struct.pack(f"<{len(lengths)}I", *lengths), kinds, *parts))
    _CHECKSUM.pack_into(block, len(_MAGIC), zlib.crc32(memoryview(block)[_CHECKED_FROM:]))
    return block


def unpack_block(data: bytes) -> Block:
    """Read a block.

    Raises:
        BlockError: It is damaged.
    """
    try:
        magic, checksum, size, count, time_ms, name_size = _HEAD.unpack_from(data)
    except struct.error as error:
        raise BlockError from error
    if magic != _MAGIC or size != len(data) or zlib.crc32(memoryview(data)[_CHECKED_FROM:]) != checksum:
        raise BlockError
    at = _HEAD.size + name_size
    destination = data[_HEAD.size : at].decode(*_TEXT)
    lengths = struct.unpack_from(f"<{4 * count}I", data, at)
    kinds = data[at + 16 * count : at + 17 * count]
    at += 17 * count
    records: list[StoredRecord] = []
    each = iter(lengths)
    # Whoever waits for the thread or the loop waits for this, too: it runs once for each event that is read.
    for of_key, of_also, of_id, of_chunk, kind in zip(each, each, each, each, kinds, strict=True):
        id_at = at + of_key
        key, also = data[at:id_at].decode("utf-8", "surrogatepass"), None
        if of_also:
            also = data[id_at : id_at + of_also - 1].decode(*_TEXT)
            id_at += of_also - 1
        chunk_at = id_at + of_id
        event_id = data[id_at:chunk_at].decode("utf-8", "surrogatepass") if of_id else ""
        at = chunk_at + of_chunk
        records.append(StoredRecord(key, also, event_id, data[chunk_at:at], kind == _EXPOSURE))
    return Block(destination, time_ms, records)


def pack_settled(done: int) -> bytes:
    """Write which positions of a block are settled: a bit each."""
    bits = done.to_bytes((done.bit_length() + 7) // 8, "little")
    return _CHECKSUM.pack(zlib.crc32(bits)) + bits


def unpack_settled(data: bytes | None) -> int:
    """Read which positions of a block are settled; if that is damaged, none: they are sent again, under their ids."""
    if data is None or len(data) < _CHECKSUM.size:
        return 0
    bits = data[_CHECKSUM.size :]
    return int.from_bytes(bits, "little") if _CHECKSUM.unpack_from(data)[0] == zlib.crc32(bits) else 0
