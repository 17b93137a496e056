"""Blocks on disk, their settled positions, and the backlog."""

from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._delivery.spool.positions import (
    BLOCK_BYTES,
    BLOCK_EVENTS,
    Backlog,
    BlockRef,
    PendingAcks,
    SpooledRecord,
    split_blocks,
    unsettled_positions,
)


def record(size: int = 0) -> SpooledRecord:
    return SpooledRecord("user", "id", b"x" * size, 0.0)


@given(st.lists(st.integers(0, BLOCK_BYTES * 2 // 3), min_size=1, max_size=8), st.integers(0, 2 * BLOCK_EVENTS))
def test_blocks_contain_all_records_in_order_and_are_never_large(sizes: list[int], small: int) -> None:
    records = [record(size) for size in [*sizes, *[1] * small, *sizes]]
    blocks = list(split_blocks(records))

    assert [r for block in blocks for r in block] == records
    assert all(0 < len(block) <= BLOCK_EVENTS for block in blocks)
    assert all(len(block) == 1 or sum(len(r.chunk) for r in block) <= BLOCK_BYTES for block in blocks)


@given(st.permutations(range(6)), st.integers(0, 6))
def test_settled_records_add_up_to_finished_blocks(order: list[int], settled: int) -> None:
    block = BlockRef(1, 7, 6)
    records = [record() for _ in range(6)]
    for position, one in enumerate(records):
        one.block, one.position = block, position
    acks = PendingAcks()
    acks.add([records[n] for n in order[:settled]])
    taken = acks.drain()

    if settled == 6:
        assert taken[1].finished == [7]
    elif settled:
        assert taken[1].progress == [(7, sum(1 << n for n in order[:settled]))]
        assert sorted(unsettled_positions(block.done, 6)) == sorted(order[settled:])
    else:
        assert taken == {}
    assert not acks


def test_records_in_memory_only_have_nothing_to_acknowledge() -> None:
    acks = PendingAcks()
    acks.add([record()])

    assert not acks


def test_a_block_is_in_the_backlog_until_it_is_read() -> None:
    backlog = Backlog()
    backlog.append_file(1)
    backlog.append_block(2, 5, [record()])
    backlog.append_block(2, 6, [record()])

    assert backlog.own_count == 2
    assert backlog.find_range(2, 6) is backlog.ranges[1]
    assert backlog.find_range(1, 1) is backlog.find_range(2, 4) is None
    backlog.advance(None)
    backlog.advance(6)
    assert not backlog
