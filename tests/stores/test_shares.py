"""How a spool that is nearly full is shared among destinations; pure."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from asyncsdk.stores.sqlite.quota import Quota
from asyncsdk.stores.sqlite.shares import Allocation, Victim

NAMES = ("Amplitude", "RudderStack", "Statsig")
SIZES = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(1, 100)), max_size=60)


class Store:
    """The blocks of a spool of 900 bytes, of which `left_on_disk` more bytes fit on the disk."""

    def __init__(self, *, drops_oldest: bool, left_on_disk: int = 10**9) -> None:
        self.quota = Quota(Path(), 900, 0, drops_oldest, 0)
        self.left_on_disk = left_on_disk
        self.blocks: list[tuple[str, int]] = []

    @property
    def used(self) -> int:
        return sum(size for _, size in self.blocks)

    def find_oldest(self, destination: str) -> Iterator[Victim]:
        blocks = [(row, size) for row, (name, size) in enumerate(self.blocks) if name == destination]
        return (Victim(1, row, destination, b"x" * size, 0) for row, size in blocks)

    def add(self, destination: str, size: int) -> tuple[int, list[tuple[str, int]]]:
        """Add a block, and return how many bytes of it are stored, and what was deleted."""
        bytes_ = Counter[str]()
        for name, its_size in self.blocks:
            bytes_[name] += its_size
        allocation = Allocation(
            self.quota, 900 - self.used, self.left_on_disk - self.used, NAMES, bytes_, self.find_oldest
        )
        room = allocation.room_for(destination, size)
        rows = {victim.row for victim in allocation.victims}
        deleted = [block for row, block in enumerate(self.blocks) if row in rows]
        self.blocks = [block for row, block in enumerate(self.blocks) if row not in rows] + [(destination, room)]
        return room, deleted


@given(SIZES, st.booleans())
def test_the_spool_never_exceeds_its_limit(sizes: list[tuple[str, int]], drops_oldest: bool) -> None:
    store = Store(drops_oldest=drops_oldest)
    for name, size in sizes:
        store.add(name, size)

        assert store.used <= 900


@given(SIZES)
def test_a_part_is_kept_for_each_destination(sizes: list[tuple[str, int]]) -> None:
    store = Store(drops_oldest=False)
    for name, size in sizes:
        if name != "Statsig":
            store.add(name, size)

    assert store.add("Statsig", 150) == (150, [])


def test_one_destination_may_use_all_but_what_is_kept_for_the_others() -> None:
    store = Store(drops_oldest=False)

    assert [store.add("Amplitude", 500)[0], store.add("Amplitude", 500)[0], store.add("Amplitude", 500)[0]] == [
        500,
        100,
        0,
    ]


@given(SIZES, st.integers(0, 900))
def test_no_more_is_deleted_than_comes_in_and_only_for_what_fits_then(
    sizes: list[tuple[str, int]], left_on_disk: int
) -> None:
    store = Store(drops_oldest=True)
    for name, size in sizes:
        store.add(name, size)
    store.left_on_disk = left_on_disk
    excess = max(0, store.used - left_on_disk)

    room, deleted = store.add("Amplitude", 50)

    assert room == 50 or not deleted
    freed = [size for _, size in deleted]
    assert sum(freed) - max(freed, default=0) < 50 + excess


def test_the_destination_that_uses_the_most_pays() -> None:
    store = Store(drops_oldest=True)
    store.blocks = [("Statsig", 100), ("Amplitude", 300), ("Amplitude", 300), ("RudderStack", 200)]

    assert store.add("RudderStack", 100) == (100, [("Amplitude", 300)])


def test_nothing_is_deleted_if_all_of_it_would_not_be_enough() -> None:
    store = Store(drops_oldest=True, left_on_disk=-1000)
    store.blocks = [("Amplitude", 300), ("Amplitude", 300)]

    assert store.add("Amplitude", 100) == (0, [])
