"""Blocks: packing and unpacking, and detection of damage."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._model.blocks import BlockError, StoredRecord, pack_block, pack_settled, unpack_block, unpack_settled
from asyncsdk._model.receipts import Record

any_text = st.text(st.characters(), max_size=20)
kept = st.builds(
    StoredRecord,
    key=any_text,
    second_key=st.none() | any_text,
    id=any_text,
    chunk=st.binary(max_size=40),
    is_exposure=st.booleans(),
)


def record(kept: StoredRecord) -> Record:
    return Record(kept.key, kept.id, kept.chunk, 0.0, kept.second_key, int(kept.is_exposure))


BLOCK = pack_block(
    "Amplitude",
    1_700_000_000_000,
    [record(StoredRecord(f"user-{n}", None, f"id-{n}", b'{"n":%d' % n, n == 1)) for n in (1, 2)],
)


@given(any_text, st.integers(0, 2**63), st.lists(kept, max_size=12))
def test_a_packed_block_is_unpacked_unchanged(destination: str, time_ms: int, records: list[StoredRecord]) -> None:
    block = unpack_block(pack_block(destination, time_ms, map(record, records)))

    assert (block.destination, block.time_ms, list(block.records)) == (destination, time_ms, records)


def test_every_flipped_bit_is_detected() -> None:
    for position in range(len(BLOCK) * 8):
        damaged = bytearray(BLOCK)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(BlockError):
            unpack_block(bytes(damaged))


def test_every_truncation_and_addition_is_detected() -> None:
    for damaged in [BLOCK[:size] for size in range(len(BLOCK))] + [BLOCK + b"\0", BLOCK + BLOCK]:
        with pytest.raises(BlockError):
            unpack_block(damaged)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_block_or_raise_block_error(data: bytes) -> None:
    for what in (data, BLOCK[:4] + data):
        with pytest.raises(BlockError):
            unpack_block(what)


@given(st.sets(st.integers(0, 1000)))
def test_settled_positions_are_unpacked_unchanged(positions: set[int]) -> None:
    done = sum(1 << position for position in positions)

    assert unpack_settled(pack_settled(done)) == done


@given(st.integers(1, 2**100), st.data())
def test_damaged_settled_positions_count_as_none(done: int, data: st.DataObject) -> None:
    packed = bytearray(pack_settled(done))
    position = data.draw(st.integers(0, len(packed) * 8 - 1))
    packed[position // 8] ^= 1 << position % 8

    assert unpack_settled(bytes(packed)) == 0


def test_missing_settled_positions_count_as_none() -> None:
    assert unpack_settled(None) == unpack_settled(b"") == unpack_settled(b"abc") == 0


def test_the_order_is_kept() -> None:
    numbers = count()
    records = [record(StoredRecord("k", None, str(next(numbers)), b"{", is_exposure=False)) for _ in range(300)]

    assert [kept.id for kept in unpack_block(pack_block("d", 0, records)).records] == [str(n) for n in range(300)]
