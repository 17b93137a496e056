"""The search language of the workbench: one for its page, its URLs and its API.

    vendor:amplitude name:"Order" user:u1,u2 is:rejected -name:page attempt:>1 size:>1k after:14:02 prop:sku=pot words

Words are joined by "and"; values after a comma by "or", unless they are quoted; a leading `-` negates. A word that
cannot be read is ignored, and its `error` says what is wrong with it, so that a query that is being typed never empties
a list. Pure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import attrs

from asyncsdk.dev.control.rows import Row

VENDORS = ("statsig", "rudderstack", "amplitude")
STATES = ("accepted", "duplicate", "rejected", "lost", "retried", "exposure")
KEYS: Mapping[str, str] = {
    "vendor": "statsig, rudderstack, amplitude",
    "type": "track, identify, page, screen, group, alias, log_event, exposure",
    "name": "name of the event, gate, config..., or a part of it",
    "user": "user, anonymous or device id, or a part of it",
    "is": "accepted, duplicate, rejected, lost, retried, exposure",
    "id": "message id, or its beginning",
    "attempt": "2, >1",
    "size": ">1k",
    "after": "14:02 or 14:02:30, or a date with a time",
    "before": "14:02 or 14:02:30, or a date with a time",
    "request": "number of the request",
    "prop": "sku=teapot: anywhere in the payload",
    "run": "run id of a test",
    "client": "name of the client that sent it, or a part of it",
}
"""Keys of the language, and what they are followed by."""

_TOKEN = re.compile(r'(-?)(?:([a-z]+):(?:"([^"]*)"?|(\S*))|"([^"]*)"?|(\S+))', re.IGNORECASE)
_COMPARISON = re.compile(r"([<>]?=?)(\d{1,15}(?:\.\d{1,15})?)([km]?)", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"\d{1,15}", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
_MAX_TYPO = 2


Test = Callable[[Row], bool]


@attrs.frozen
class _Value:
    """What follows a key: its text, and its parts in lower case, each of which may match. A quoted text is one part."""

    text: str
    is_quoted: bool

    @property
    def parts(self) -> Sequence[str]:
        low = self.text.lower()
        return [low] if self.is_quoted else low.split(",")


@attrs.frozen
class Token:
    """One word of a query.

    Attributes:
        start: Position of its first character in the query.
        text: The word as written.
        is_negated: Whether it starts with `-`.
        key: Its key; None for a word without one.
        value: Its value, without quotation marks.
        error: What is wrong with it; `""` if nothing is. A word with an error matches everything.
        test: Tests an event, regardless of the negation.
    """

    start: int
    text: str
    is_negated: bool
    key: str | None
    value: str
    error: str = ""
    test: Test = attrs.field(default=lambda _: True, repr=False, eq=False)

    def matches(self, event: Row) -> bool:
        """Return whether an event has what the word asks for."""
        return bool(self.error) or self.test(event) is not self.is_negated


@attrs.frozen
class Query:
    """A parsed query.

    Attributes:
        tokens: Its words, in order.
    """

    tokens: Sequence[Token] = ()

    @property
    def errors(self) -> list[dict[str, str | int]]:
        """What is wrong with each word that is ignored, with its position."""
        return [{"at": token.start, "text": token.text, "error": token.error} for token in self.tokens if token.error]

    def matches(self, event: Row) -> bool:
        """Return whether an event matches all words."""
        return all(token.matches(event) for token in self.tokens)


def parse(text: str, now: datetime) -> Query:
    """Parse a query. Never raises.

    Args:
        text: The query.
        now: The current time with its zone, which times without a date or a zone refer to.
    """
    return Query([_token(match, now) for match in _TOKEN.finditer(text)])


def _token(match: re.Match[str], now: datetime) -> Token:
    key = match[2].lower() if match[2] else None
    text = next(part for part in match.groups()[2:] if part is not None)
    value = _Value(text, is_quoted=match[3] is not None)
    error = _fault(key, value, now)
    test = _TESTS[key](value, now) if not error else (lambda _: True)
    return Token(match.start(), match[0], match[1] == "-", key, text, error, test)


def _fault(key: str | None, given: _Value, now: datetime) -> str:
    if key is None:
        return ""
    value = given.text
    if key not in KEYS:
        return f'There is no "{key}:"{_suggestion(key)}'
    known = {"is": STATES, "vendor": VENDORS}.get(key)
    if known and value:
        wrong = next((part for part in given.parts if not _is_known(key, part, known)), None)
        return "" if wrong is None else f'{key}: knows {", ".join(known)}, not "{wrong}"'
    is_wrong = (
        not value
        or (key in ("after", "before") and _moment(value, now) is None)
        or (key in ("attempt", "size") and not _COMPARISON.fullmatch(value))
        or (key == "request" and not _NUMBER.fullmatch(value))
    )
    return f"{key}: wants {KEYS[key]}" if is_wrong else ""


def _is_known(key: str, value: str, known: Sequence[str]) -> bool:
    return value in known if key == "is" else any(name.startswith(value) for name in known)


def _suggestion(word: str) -> str:
    best = min(KEYS, key=lambda key: _distance(word, key))
    return f'. Did you mean "{best}:"?' if _distance(word, best) <= _MAX_TYPO else f". Keys: {', '.join(KEYS)}"


def _distance(left: str, right: str) -> int:
    """Return the number of letters to insert, delete or replace that turn one word into the other."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left[:20], 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1] + max(0, len(left) - 20)


def _moment(text: str, now: datetime) -> int | None:
    """Return a time in milliseconds since 1970; None if the text is not one."""
    try:
        if match := _CLOCK.fullmatch(text):
            hour, minute, second = (int(part or 0) for part in match.groups())
            moment = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _contains(read: Callable[[Row], str]) -> Callable[[_Value, datetime], Test]:
    def build(value: _Value, _: datetime) -> Test:
        parts = value.parts
        return lambda event: any(part in read(event).lower() for part in parts)

    return build


def _compares(read: Callable[[Row], float]) -> Callable[[_Value, datetime], Test]:
    def build(value: _Value, _: datetime) -> Test:
        # `_fault` has checked it.
        sign, digits, unit = _COMPARISON.fullmatch(value.text).groups()  # type: ignore[union-attr]
        number = float(digits) * _UNITS[unit.lower()]
        tests: Mapping[str, Test] = {
            ">": lambda event: read(event) > number,
            "<": lambda event: read(event) < number,
            ">=": lambda event: read(event) >= number,
            "<=": lambda event: read(event) <= number,
        }
        return tests.get(sign, lambda event: read(event) == number)

    return build


def _vendor(value: _Value, _: datetime) -> Test:
    parts = value.parts
    return lambda event: any(event.vendor.startswith(part) for part in parts)


def _type(value: _Value, _: datetime) -> Test:
    parts = value.parts
    return lambda event: event.type.lower() in parts or ("exposure" in parts and event.exposure)


def _state(value: _Value, _: datetime) -> Test:
    parts = value.parts
    return lambda event: (
        event.status in parts or ("retried" in parts and event.attempt > 1) or ("exposure" in parts and event.exposure)
    )


def _property(value: _Value, _: datetime) -> Test:
    """Find a key with a value that begins in this way, anywhere in the JSON of the event."""
    key, has_value, begins = value.text.partition("=")
    pattern = re.compile(re.escape(f'"{key}":') + '"?' + re.escape(begins if has_value else ""))
    return lambda event: pattern.search(event.text) is not None


def _words(value: _Value, _: datetime) -> Test:
    low = value.text.lower()
    return lambda event: low in f"{event.name} {event.user} {event.type} {event.reason} {event.id}".lower()


def _after(value: _Value, now: datetime) -> Test:
    moment = _moment(value.text, now) or 0
    return lambda event: event.at >= moment


def _before(value: _Value, now: datetime) -> Test:
    moment = _moment(value.text, now) or 0
    return lambda event: event.at < moment


_TESTS: Mapping[str | None, Callable[[_Value, datetime], Test]] = {
    "vendor": _vendor,
    "type": _type,
    "name": _contains(lambda event: event.name),
    "user": _contains(lambda event: event.user),
    "is": _state,
    "id": lambda value, _: lambda event: event.id.startswith(value.text),
    "attempt": _compares(lambda event: event.attempt),
    "size": _compares(lambda event: event.size),
    "after": _after,
    "before": _before,
    "request": lambda value, _: lambda event: event.request == int(value.text),
    "prop": _property,
    "run": lambda value, _: lambda event: event.run == value.text,
    "client": _contains(lambda event: event.client),
    None: _words,
}
