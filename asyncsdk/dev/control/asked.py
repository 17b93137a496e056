"""The names that code has asked for in this run, as clients report them; and those that the rules do not have."""

import time
from collections.abc import Iterator, Mapping, Sequence

import attrs

from asyncsdk.dev.received_event import Json

_MAX_NAMES = 5_000


@attrs.define
class Asked:
    """How often a name was asked for.

    Attributes:
        kind: Its kind, as the code asked for it.
        count: Number of lookups.
        last: Time of the last report, in milliseconds since 1970.
        by: Name of the client.
    """

    kind: str
    count: int = 0
    last: int = 0
    by: str = ""


@attrs.define(eq=False)
class AskedNames:
    """The names, bounded: names beyond the first thousands are not counted."""

    _by_name: dict[str, Asked] = attrs.field(factory=dict)

    def record(self, name: str, kind: str, count: int, by: str) -> None:
        """Count lookups of a name."""
        asked = self._by_name.get(name)
        if asked is None:
            if len(self._by_name) >= _MAX_NAMES:
                return
            asked = self._by_name[name] = Asked(kind)
        asked.count += count
        asked.last, asked.by = int(time.time() * 1000), by or asked.by

    def get(self, name: str) -> Asked:
        """Return how often a name was asked for; zero times for others."""
        return self._by_name.get(name) or Asked("gate")

    def names(self) -> Iterator[str]:
        """Return the names."""
        return iter(self._by_name)

    def clear(self) -> None:
        """Forget all names."""
        self._by_name.clear()

    def unknown(self, known: Mapping[str, object]) -> Sequence[dict[str, Json]]:
        """Return the names that the rules do not have, the one asked for most often first."""
        names = [{"name": name, **attrs.asdict(one)} for name, one in self._by_name.items() if name not in known]
        return sorted(names, key=lambda one: -one["count"])
