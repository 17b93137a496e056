"""How a spool that is nearly full is shared: what each destination may add, and which one pays with old blocks.

Two rules, by the user's `when_full`. Both let one destination use the whole spool while it is the only one.

1. `drop_newest` and `reject`: a stored block stays, so space has to be kept back before it is needed. Half of
   `max_bytes` is for all; the other half is divided equally, and each part is kept for its destination. With three
   destinations, of which one is unavailable, that one may use two thirds, and a sixth is kept for each of the others.
2. `drop_oldest`: all of `max_bytes` is for all. What comes in replaces the oldest blocks of the destination that uses
   the most. Nothing is deleted if all of it together would not be enough, as when another program fills the disk.

A block that does not fit is cut: as many of its records are stored as there is space for.

Example: of 900 bytes, Amplitude uses 590, Statsig 0. A block of 20 for Amplitude gets 10 with rule 1, because 150 are
kept for each of Statsig and RudderStack. With rule 2 it gets 20, and so does the next one, until 900 are used; then the
oldest blocks of Amplitude go.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import attrs

from asyncsdk.stores.sqlite.quota import Quota


@attrs.frozen(eq=False, repr=False)
class Victim:
    """A block that is deleted to make space.

    Attributes:
        file: Number of its file.
        row: Its id.
        destination: Label of its destination.
        body: The packed block.
        done: Settled positions of its records.
    """

    file: int
    row: int
    destination: str
    body: bytes
    done: int


@attrs.define(eq=False, repr=False)
class Allocation:
    """Divides the space that is left among the blocks of one commit.

    Attributes:
        quota: The limits.
        left: Bytes until `max_bytes` is reached.
        left_on_disk: Bytes until only `keep_free` is left.
        destinations: Labels that share the spool.
        bytes: Size of the blocks of each of them.
        find_oldest: Returns the blocks of a destination that may be deleted, oldest first.
        victims: Blocks to delete.
    """

    quota: Quota
    left: int
    left_on_disk: int
    destinations: Collection[str]
    bytes: Counter[str]
    find_oldest: Callable[[str], Iterator[Victim]]
    victims: list[Victim] = attrs.field(factory=list)
    _sources: dict[str, Iterator[Victim]] = attrs.field(factory=dict)

    def fits_all(self, blocks: Sequence[tuple[str, int]]) -> bool:
        """Return whether blocks, each given as destination and size, fit without deleting any."""
        incoming = Counter[str]()
        for destination, size in blocks:
            incoming[destination] += size
        total = incoming.total()
        return total <= self.left_on_disk and all(
            total <= self.left - self._kept_for_others(name, incoming) for name in incoming
        )

    def room_for(self, destination: str, size: int) -> int:
        """Return how many of the `size` bytes of a block may be stored, after choosing blocks to delete for it."""
        room = min(size, self.left_on_disk, self.left - self._kept_for_others(destination, {}))
        if room < size and self.quota.drops_oldest and self._choose_victims(destination, size, size - room):
            return size
        return max(0, room)

    def store(self, destination: str, size: int) -> None:
        """Record that a block is stored."""
        self.bytes[destination] += size
        self.left -= size
        self.left_on_disk -= size

    def _kept_for_others(self, destination: str, incoming: Mapping[str, int]) -> int:
        if self.quota.drops_oldest:
            return 0
        part = self.quota.max_bytes // 2 // max(1, len(self.destinations))
        others = (name for name in self.destinations if name != destination)
        return sum(max(0, part - self.bytes[name] - incoming.get(name, 0)) for name in others)

    def _choose_victims(self, destination: str, size: int, needed: int) -> bool:
        """Choose blocks of at least `needed` bytes; choose none, and return False, if there are not enough."""
        sizes = Counter({name: self.bytes[name] for name in self.destinations})
        if sizes.total() < needed:
            return False
        sizes[destination] += size
        chosen: list[Victim] = []
        while needed > 0 and sizes:
            largest = max(sizes, key=sizes.__getitem__)
            source = self._sources.setdefault(largest, self.find_oldest(largest))
            victim = next(source, None)
            if victim is None:  # what is left of it comes in with this commit
                del sizes[largest]
                continue
            chosen.append(victim)
            needed -= len(victim.body)
            sizes[largest] -= len(victim.body)
        if needed > 0:
            return False
        for victim in chosen:
            self.store(victim.destination, -len(victim.body))
        self.victims += chosen
        return True
