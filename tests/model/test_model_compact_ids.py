"""`CompactIds` is a set of keys, in a fraction of the memory."""

import sys
from hashlib import sha256
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._model.compact_ids import CompactIds, compacted

# Keys of few different bytes: a match often begins within another key.
keys = st.binary(min_size=6, max_size=6) | st.lists(st.sampled_from(b"ab"), min_size=6, max_size=6).map(bytes)


def key(number: int) -> bytes:
    return sha256(b"%d" % number).digest()[:6]


@given(st.lists(st.tuples(st.sampled_from(["add", "discard", "grow"]), keys)), keys)
def test_it_behaves_like_a_set(changes: list[tuple[str, bytes]], other: bytes) -> None:
    compact, plain = CompactIds(), set[bytes]()
    for change, one in changes:
        if change == "grow":
            list(compact.grow())
            continue
        for ids in (compact, plain):
            getattr(ids, change)(one)

    assert (set(compact), len(compact), len(list(compact))) == (plain, len(plain), len(plain))
    assert all((one in compact) is (one in plain) for one in [other, *(one for _, one in changes)])
    assert set(_run(compacted(plain))) == plain


def test_growing_takes_steps_and_keeps_all_keys() -> None:
    compact = CompactIds()
    compact.update(map(key, range(1_000)))

    assert compact.needs_growth
    assert len(list(compact.grow())) >= 1
    assert not compact.needs_growth
    assert all(key(number) in compact for number in range(1_000))


def test_an_id_takes_at_most_sixteen_bytes() -> None:
    compact = CompactIds(20_000)
    compact.update(map(key, range(20_000)))
    buckets: Any = compact._table[1]

    assert (sys.getsizeof(buckets) + sum(map(sys.getsizeof, buckets))) / 20_000 < 16


def test_its_repr_is_short() -> None:
    compact = CompactIds()
    compact.update(map(key, range(1_000)))

    assert repr(compact) == "<CompactIds of 1000>"


def _run(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def test_bytes_of_two_neighbours_are_no_key() -> None:
    compact = CompactIds()
    compact.update(map(key, range(200)))
    for bucket in compact._table[1]:
        inside = [bucket[at : at + 6] for at in range(len(bucket) - 5) if at % 6]
        assert not [one for one in inside if one in compact]
