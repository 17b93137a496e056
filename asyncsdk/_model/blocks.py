"""The spool's storage format: a block holds the records that one commit stores for one destination.

    offset  size  content
    0       4     magic, which no text starts with
    4       4     CRC-32 of everything from offset 8
    8       4     size of the block in bytes
    12      4     number of records, n
    16      8     time of the commit, in milliseconds since 1970
    24      4     size of the destination's name in bytes
    28      ...   the destination's name
    ...     16 n  four sizes per record: ordering key, second key + 1 (0: none), event id, chunk
    ...     n     one byte per record: 1 for exposures, 0 for an event
    ...     ...   these parts of each record, one record after the other

Integers are little-endian. The checksum covers the whole block, so a damaged block is recognised and never sent.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import attrs

from asyncsdk._model.receipts import Record

# The first 28 bytes of the table above.
_HEAD = struct.Struct("<4sIIIQI")
# The byte 0xff occurs in no UTF-8 text.
_MAGIC = b"\xffAS1"
_CHECKED_FROM = 8
_CHECKSUM = struct.Struct("<I")
# Ids may hold any Python text, including lone surrogates.
_TEXT = ("utf-8", "surrogatepass")
_EXPOSURE = 1


class BlockError(Exception):
    """Raised for bytes that are not a block, or a damaged one."""


class StoredRecord(NamedTuple):
    """A record as stored; the fields are those of `Record`."""

    key: str
    second_key: str | None
    id: str
    chunk: bytes
    is_exposure: bool


@attrs.frozen(eq=False, repr=False)
class Block:
    """A block as read.

    Attributes:
        destination: Name of the destination.
        time_ms: Time of the commit, in milliseconds since 1970.
        records: The records, in the order in which they were accepted.
    """

    destination: str
    time_ms: int
    records: Sequence[StoredRecord]


def pack_block(destination: str, time_ms: int, records: Iterable[Record]) -> bytearray:
    """Encode records as a block.

    Args:
        destination: Name of the destination.
        time_ms: Time of the commit, in milliseconds since 1970.
        records: The records, in the order in which they were accepted.
    """
    lengths: list[int] = []
    kinds = bytearray()
    parts: list[bytes] = []
    for record in records:
        key, event_id = record.key.encode("utf-8", "surrogatepass"), record.id.encode("utf-8", "surrogatepass")
        second_key, chunk = record.second_key, record.chunk
        if second_key is None:
            lengths += (len(key), 0, len(event_id), len(chunk))
            parts += (key, event_id, chunk)
        else:
            second = second_key.encode(*_TEXT)
            # Plus one, since an empty second key differs from none.
            lengths += (len(key), len(second) + 1, len(event_id), len(chunk))
            parts += (key, second, event_id, chunk)
        kinds.append(_EXPOSURE if record.exposures else 0)
    name = destination.encode(*_TEXT)
    # 17 bytes per record: four sizes of four bytes, and the kind.
    size = _HEAD.size + len(name) + 17 * len(kinds) + sum(map(len, parts))
    head = _HEAD.pack(_MAGIC, 0, size, len(kinds), time_ms, len(name))
    # Joined in one go, because allocating and filling the block costs more than everything above.
    block = bytearray().join((head, name, struct.pack(f"<{len(lengths)}I", *lengths), kinds, *parts))
    _CHECKSUM.pack_into(block, len(_MAGIC), zlib.crc32(memoryview(block)[_CHECKED_FROM:]))
    return block


def unpack_block(data: bytes) -> Block:
    """Decode a block.

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
    sizes = iter(lengths)
    # Runs for each event read, and holds the GIL: so it repeats literals and avoids every call it can.
    for key_size, second_key_size, id_size, chunk_size, kind in zip(sizes, sizes, sizes, sizes, kinds, strict=True):
        id_at = at + key_size
        key, second_key = data[at:id_at].decode("utf-8", "surrogatepass"), None
        if second_key_size:
            second_key = data[id_at : id_at + second_key_size - 1].decode(*_TEXT)
            id_at += second_key_size - 1
        chunk_at = id_at + id_size
        event_id = data[id_at:chunk_at].decode("utf-8", "surrogatepass") if id_size else ""
        at = chunk_at + chunk_size
        records.append(StoredRecord(key, second_key, event_id, data[chunk_at:at], kind == _EXPOSURE))
    return Block(destination, time_ms, records)


def pack_settled(settled: int) -> bytes:
    """Encode the settled positions of a block, given as one bit per position."""
    bits = settled.to_bytes((settled.bit_length() + 7) // 8, "little")
    return _CHECKSUM.pack(zlib.crc32(bits)) + bits


def unpack_settled(data: bytes | None) -> int:
    """Decode the settled positions of a block. If damaged, 0: all events are sent again, under the same ids."""
    if data is None or len(data) < _CHECKSUM.size:
        return 0
    bits = data[_CHECKSUM.size :]
    return int.from_bytes(bits, "little") if _CHECKSUM.unpack_from(data)[0] == zlib.crc32(bits) else 0
