"""The books between a lane and a spool."""

from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._delivery.spool.positions import (
    BLOCK_BYTES,
    BLOCK_EVENTS,
    Backlog,
    BlockRef,
    PendingAcks,
    SpooledRecord,
    blocks_of,
    unsettled,
)


def record(size: int = 0) -> SpooledRecord:
    return SpooledRecord("user", "id", b"x" * size, 0.0)


@given(st.lists(st.integers(0, BLOCK_BYTES * 2 // 3), min_size=1, max_size=8), st.integers(0, 2 * BLOCK_EVENTS))
def test_blocks_hold_all_in_order_and_are_never_large(sizes: list[int], small: int) -> None:
    records = [record(size) for size in [*sizes, *[1] * small, *sizes]]
    blocks = list(blocks_of(records))

    assert [r for block in blocks for r in block] == records
    assert all(0 < len(block) <= BLOCK_EVENTS for block in blocks)
    assert all(len(block) == 1 or sum(len(r.chunk) for r in block) <= BLOCK_BYTES for block in blocks)


@given(st.permutations(range(6)), st.integers(0, 6))
def test_what_is_settled_adds_up_to_blocks_that_are_finished(order: list[int], noted: int) -> None:
    place = BlockRef(1, 7, 6)
    records = [record() for _ in range(6)]
    for position, one in enumerate(records):
        one.place, one.position = place, position
    books = PendingAcks()
    books.note([records[n] for n in order[:noted]])
    taken = books.take()

    if noted == 6:
        assert taken[1].finished == [7]
    elif noted:
        assert taken[1].progress == [(7, sum(1 << n for n in order[:noted]))]
        assert sorted(unsettled(place.done, 6)) == sorted(order[noted:])
    else:
        assert taken == {}
    assert not books


def test_records_in_memory_only_settle_nothing_on_disk() -> None:
    books = PendingAcks()
    books.note([record()])

    assert not books


def test_a_block_waits_until_it_was_read() -> None:
    backlog = Backlog()
    backlog.inherit(1)
    backlog.join(2, 5, [record()])
    backlog.join(2, 6, [record()])

    assert backlog.own == 2
    assert backlog.source_of(2, 6) is backlog.sources[1]
    assert backlog.source_of(1, 1) is backlog.source_of(2, 4) is None
    backlog.took(None)
    backlog.took(6)
    assert not backlog
