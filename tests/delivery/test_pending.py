"""Which events may be sent next."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._delivery.batching import keys_of
from asyncsdk._delivery.pending import Pending
from asyncsdk._model.receipts import Record

PLENTY = 10**9


def record(key: str, number: int = 0, also: str | None = None, size: int = 1, admitted: float = 0.0) -> Record:
    return Record(key, str(number), b"x" * size, admitted, also)


def pending(*records: Record) -> Pending:
    return Pending(deque(records))


def taken(queue: Pending, max_events: int, max_bytes: int) -> list[Record]:
    batch = queue.next_batch(max_events, max_bytes)
    return [] if batch is None else batch.records


def test_a_batch_is_bounded_by_count() -> None:
    assert len(taken(pending(*(record(str(n)) for n in range(5))), 3, PLENTY)) == 3


def test_a_batch_is_bounded_by_bytes() -> None:
    queue = pending(record("a", size=6), record("b", size=4), record("c", size=1))

    assert len(taken(queue, 10, 10)) == 2
    assert len(taken(queue, 10, 10)) == 1


def test_bundled_exposures_count_each() -> None:
    bundles = [Record("", str(n), b"x", 0.0, exposures=4) for n in range(3)]
    queue = pending(record("a"), *bundles)

    assert [r.exposures for r in taken(queue, 9, PLENTY)] == [0, 4, 4]
    assert [r.exposures for r in taken(queue, 3, PLENTY)] == [4]


def test_bundled_exposures_count_each_behind_queued_events() -> None:
    queue = pending(record("a", 1))
    first = taken(queue, 10, PLENTY)
    queue.ready.extend([record("a", 2), *(Record("", "", b"x", 0.0, exposures=4) for _ in range(4))])
    assert not queue.needs_recheck
    queue.next_batch(1, PLENTY)
    queue.release(keys_of(first))

    assert [r.exposures for r in taken(queue, 9, PLENTY)] == [0, 4, 4]


def test_exposures_have_no_key() -> None:
    queue = pending(*(Record("", str(n), b"x", 0.0, exposures=4) for n in range(2)))

    assert [len(taken(queue, 4, PLENTY)) for _ in range(3)] == [1, 1, 0]


def test_an_event_larger_than_a_batch_goes_alone() -> None:
    queue = pending(record("a", size=100), record("b"))

    assert len(taken(queue, 10, 10)) == 1


def test_events_of_a_busy_key_wait_until_it_is_released() -> None:
    queue = pending(record("a", 1))
    first = taken(queue, 10, PLENTY)
    queue.ready.extend([record("a", 2), record("b", 3)])

    assert [r.id for r in taken(queue, 10, PLENTY)] == ["3"]
    queue.release(keys_of(first))
    assert [r.id for r in taken(queue, 10, PLENTY)] == ["2"]


def test_queued_events_go_before_newer_ones() -> None:
    queue = pending(record("a", 1))
    first = taken(queue, 10, PLENTY)
    queue.ready.extend([record("a", 2)])
    taken(queue, 10, PLENTY)
    queue.ready.extend([record("a", 3), record("b", 4)])

    queue.release(keys_of(first))

    assert [r.id for r in taken(queue, 10, PLENTY)] == ["2", "3", "4"]


def test_an_alias_waits_for_both_of_its_keys() -> None:
    queue = pending(record("old", 1))
    old = taken(queue, 1, PLENTY)
    queue.ready.append(record("new", 2))
    new = taken(queue, 1, PLENTY)
    queue.ready.extend([record("old", 3, also="new"), record("new", 4)])

    assert taken(queue, 10, PLENTY) == []
    queue.release(keys_of(old))
    assert taken(queue, 10, PLENTY) == []
    queue.release(keys_of(new))
    assert [r.id for r in taken(queue, 10, PLENTY)] == ["3", "4"]


def test_late_events_are_removed_ready_or_queued() -> None:
    queue = pending(record("a", 1))
    taken(queue, 10, PLENTY)
    queue.ready.extend([record("a", 2, admitted=1.0), record("a", 3, admitted=9.0), record("b", 4, admitted=1.0)])
    taken(queue, 1, PLENTY)
    queue.ready.append(record("c", 5, admitted=1.0))

    assert sorted(r.id for r in queue.remove(before=5.0)) == ["2", "5"]


def test_removing_an_alias_unblocks_its_other_key() -> None:
    queue = pending(record("old", 1))
    taken(queue, 1, PLENTY)
    queue.ready.extend([record("old", 2, also="new", admitted=1.0), record("new", 3, admitted=9.0)])
    assert taken(queue, 10, PLENTY) == []

    queue.remove(before=5.0)

    assert [r.id for r in taken(queue, 10, PLENTY)] == ["3"]


keys = st.sampled_from("abc")
arrivals = st.lists(st.tuples(keys, st.none() | keys), min_size=1, max_size=20)


@given(arrivals, st.lists(st.integers(0, 5), max_size=60), st.integers(1, 4))
def test_no_event_overtakes_another_of_its_keys(
    arrived: list[tuple[str, str | None]], schedule: list[int], most: int
) -> None:
    queue = Pending()
    incoming = deque(record(k, n, None if also == k else also) for n, (k, also) in enumerate(arrived))
    in_flight: list[list[Record]] = []
    returned: list[Record] = []
    turn = iter([*schedule, *([0, 1, 5] * 40)])
    while len(returned) < len(arrived):
        choice = next(turn)
        if choice < 2 and incoming:
            queue.ready.append(incoming.popleft())
        elif choice < 4 or not in_flight:
            if batch := taken(queue, most, PLENTY):
                assert all(keys_of(batch).isdisjoint(keys_of(sent)) for sent in in_flight)
                in_flight.append(batch)
        else:
            sent = in_flight.pop(choice % len(in_flight))
            returned += sent
            queue.release(keys_of(sent))

    for key in "abc":
        mine = [int(r.id) for r in returned if key in r.keys]
        assert mine == sorted(mine)
