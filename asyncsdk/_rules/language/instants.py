"""Read dates and times as Statsig's package does, which reads them with two of chrono's parsers (0.4.44).

| form | example | rules |
|---|---|---|
| RFC 3339 | `2023-07-01T17:10:00.5+02:00` | two digits each, an offset below 24 hours; `T` may be a blank |
| `%Y-%m-%d %H:%M:%S` (UTC) | `2023-7-1 1:01:01` | one or two digits, blanks before any, a signed year of any length |

Both take second 60, a leap second, which is the first one of the next minute.
"""

import re
from datetime import date

# What Rust's `char::is_whitespace` accepts; Python's `\s` has four control characters more.
BLANKS = "\t\n\x0b\x0c\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_RFC_3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]++))?"
    "(?:[Zz]|([+\u2212-])([0-9]{2}):([0-9]{2}))"
)
_LOOSE = re.compile(
    "-".join((f"[{BLANKS}]*+([+-][0-9]++|[0-9]{{1,4}}+)", *2 * [f"[{BLANKS}]*+([0-9]{{1,2}}+)"]))
    + ":".join(3 * [f"[{BLANKS}]*+([0-9]{{1,2}}+)"])
)
# chrono's years; the calendar repeats every 400 of them.
_YEARS = range(-262_143, 262_143)
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_SECONDS = 86_400


def read_instant(text: str) -> int | None:
    """Return a date and time as milliseconds since 1970; None for any other text. Never raises."""
    strict = _RFC_3339.fullmatch(text)
    found = strict or _LOOSE.fullmatch(text)
    if found is None:
        return None
    # A fraction and an offset are RFC 3339's only.
    fraction, sign, hours, minutes = strict.groups("")[6:] if strict else ("", "", "", "")
    parts = found.groups()[:6]
    # Longer years are out of range; the limit bounds the time of `int`.
    year, month, day, hour, minute, second = (int(part) if len(part.lstrip("+-0")) < 9 else 10**9 for part in parts)
    offset = (int(hours) * 60 + int(minutes)) * (60 if sign == "+" else -60) if sign else 0
    if year not in _YEARS or hour > 23 or minute > 59 or second > 60 or hours > "23" or minutes > "59":
        return None
    cycles, in_cycle = divmod(year, _CYCLE_YEARS)
    try:
        # Year 0 of a cycle is counted as 400, for Python has no year 0.
        day_number = date(in_cycle + _CYCLE_YEARS, month, day).toordinal() - _CYCLE_DAYS
    except ValueError:
        return None
    days = day_number + cycles * _CYCLE_DAYS - _EPOCH_DAY
    seconds = days * _DAY_SECONDS + hour * 3600 + minute * 60 + second - offset
    return seconds * 1000 + int((fraction + "000")[:3])
