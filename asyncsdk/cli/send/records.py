"""Lines of a file as events: JSON lines in the vendors' words or ours, or CSV with a header. Pure."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import attrs
import orjson

from asyncsdk.cli._users import UsersError, read_user

_TYPES = ("track", "identify", "page", "screen", "group", "alias", "log_event")
# Our word, then those of RudderStack, Amplitude and others.
_WORDS: Mapping[str, Sequence[str]] = {
    "type": ("type", "verb"),
    "name": ("name", "event", "event_type", "eventName"),
    "user": ("user",),
    "user_id": ("user_id", "userId", "userID"),
    "anonymous_id": ("anonymous_id", "anonymousId"),
    "device_id": ("device_id", "deviceId"),
    "properties": ("properties", "traits", "event_properties", "metadata"),
    "timestamp": ("timestamp", "originalTimestamp", "time"),
    "message_id": ("message_id", "messageId", "insert_id"),
    "context": ("context",),
    "category": ("category",),
    "value": ("value",),
    "group_id": ("group_id", "groupId"),
    "previous_id": ("previous_id", "previousId"),
}
_OURS = {word: ours for ours, words in _WORDS.items() for word in words}
_MS = 10**11
"""Numbers from here on are times in milliseconds, smaller ones in seconds."""


class RecordError(Exception):
    """A line that is not an event; the text says why."""


@attrs.frozen
class Line:
    """One event of a file, before it is checked.

    Attributes:
        number: Its number, from 1; in CSV the header is line 1.
        text: The line as it is in the file, or its fields as JSON.
        fields: Its fields; None if the line cannot be parsed.
        problem: Why it cannot; "" if it can.
    """

    number: int
    text: str
    fields: Mapping[str, Any] | None
    problem: str = ""


@attrs.frozen
class VerbCall:
    """An event as a call of the client.

    Attributes:
        verb: Name of the verb.
        arguments: Its positional arguments.
        options: Its keywords.
    """

    verb: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


def json_lines(lines: Iterator[bytes]) -> Iterator[Line]:
    """Yield the events of JSON lines; blank lines are skipped."""
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line:
            continue
        text = line.decode("utf-8", "replace")
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield Line(number, text, None, f"not JSON: {error}")
            continue
        is_object = isinstance(value, dict)
        yield Line(number, text, value if is_object else None, "" if is_object else "not a JSON object")


def csv_lines(lines: Iterator[str]) -> Iterator[Line]:
    """Yield the events of CSV. `properties.price` is a column of `properties`; `3`, `true` and `null` are JSON."""
    reader = csv.DictReader(lines)
    for row in reader:
        fields: dict[str, Any] = {}
        is_ragged = None in row or None in row.values()
        for column, text in row.items():
            if text and column is not None and not is_ragged:
                set_path(fields, column, text if "." not in column else scalar(text))
        shown = orjson.dumps({str(key): value for key, value in row.items()}).decode()
        problem = "it has another number of columns than the header" if is_ragged else ""
        yield Line(reader.line_num, shown, None if is_ragged else fields, problem)


def scalar(text: str) -> Any:
    """Return a value from text: JSON if it is, else the text."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def set_path(fields: dict[str, Any], path: str, value: Any) -> None:
    """Set a value by a path such as `properties.price`, making the objects on the way."""
    *parents, last = path.split(".")
    for name in parents:
        inner = fields.get(name)
        fields[name] = fields = dict(inner) if isinstance(inner, dict) else {}
    fields[last] = value


def build(fields: Mapping[str, Any], source: str, number: int, now: datetime) -> VerbCall:
    """Build the call of a verb from the fields of a line.

    Args:
        fields: The fields, in the vendors' words or ours.
        source: What the message id of an event without one is derived from, with its line: a second run sends the same
            id, so that the vendors recognise the event.
        number: The number of the line.
        now: The time of an event without one.

    Raises:
        RecordError: They are not those of an event.
    """
    given: dict[str, Any] = {}
    for word, value in fields.items():
        if word not in _OURS:
            msg = f"an event has no field {word!r}; what it is about belongs in `properties`"
            raise RecordError(msg)
        if value is not None:
            given[_OURS[word]] = value
    kind = given.get("type", "track")
    if kind not in _TYPES:
        msg = f"type is one of {', '.join(_TYPES)}, not {str(kind)[:40]!r}"
        raise RecordError(msg)
    options: dict[str, Any] = {
        "timestamp": _moment(given.get("timestamp"), now),
        "message_id": str(given.get("message_id") or uuid5(NAMESPACE_URL, f"asyncsdk-send:{source}:{number}")),
    }
    if "context" in given:
        options["context"] = given["context"]
    try:
        return _call(kind, given, options)
    except UsersError as error:
        raise RecordError(str(error)) from error


def _call(kind: str, given: Mapping[str, Any], options: Mapping[str, Any]) -> VerbCall:
    user, name, properties = _user(given), given.get("name"), given.get("properties")
    if kind == "identify":
        return VerbCall(kind, (user, properties), options)
    if kind == "group":
        return VerbCall(kind, (user, given.get("group_id", name), properties), options)
    if kind == "alias":
        return VerbCall(kind, (given.get("previous_id", name), user), options)
    if kind == "log_event":
        return VerbCall(kind, (user, _name(name), given.get("value"), properties), options)
    if kind == "track":
        return VerbCall(kind, (user, _name(name), properties), options)
    return VerbCall(kind, (user, name, properties), {"category": given.get("category"), **options})


def _name(name: Any) -> str:
    if isinstance(name, str) and name:
        return name
    msg = "the event has no name"
    raise RecordError(msg)


def _user(given: Mapping[str, Any]) -> Any:
    user = given.get("user")
    if user is not None and not isinstance(user, dict):
        return user
    ids = {name: given[name] for name in ("user_id", "anonymous_id", "device_id") if name in given}
    return read_user({**ids, **(user or {})})


def _moment(value: Any, now: datetime) -> datetime:
    """Return a time from ISO 8601, or from a number of seconds or milliseconds since 1970.

    Raises:
        RecordError: It is something else, or has no time zone.
    """
    if value is None:
        return now
    try:
        if isinstance(value, str) and not value.isdecimal():
            moment = datetime.fromisoformat(value)
        else:
            number = float(value)
            moment = datetime.fromtimestamp(number / 1000 if number >= _MS else number, UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        msg = f"timestamp is not a time: {str(value)[:60]!r}"
        raise RecordError(msg) from error
    if moment.tzinfo is None:
        msg = f"timestamp has no time zone: {value!r}; add Z for UTC"
        raise RecordError(msg)
    return moment
