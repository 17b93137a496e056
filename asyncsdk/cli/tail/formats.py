"""An event as a line: for people, as logfmt, or as JSON. Control characters are escaped in all of them. Pure."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from asyncsdk.cli._terminal import escape

Row = Mapping[str, Any]
_COLORS = {"rejected": "31", "lost": "35", "duplicate": "33"}
_VENDORS = {"statsig": "36", "rudderstack": "34", "amplitude": "32"}
_LOGFMT = ("seq", "vendor", "type", "name", "user", "verdict", "reason", "attempt", "size", "id", "client", "run")


def human(row: Row, *, color: bool = False) -> str:
    """Return an event in columns: time, vendor, type, name, user, verdict."""
    clock = datetime.fromtimestamp(row["at"] / 1000).astimezone().strftime("%H:%M:%S.%f")[:-3]
    vendor, verdict = f"{row['vendor']:11}", row["verdict"]
    outcome = f"{verdict}: {row['reason']}" if row["reason"] else verdict
    if row["verdict"] == "rejected" and not row["blamed"]:
        outcome = f"{outcome} (not at fault)"
    if row["attempt"] > 1:
        outcome += f", attempt {row['attempt']}"
    shown = [escape(text) for text in (f"{row['type']:10}", f"{row['name']:28}", f"{row['user']:20}", outcome)]
    if color:
        vendor = _paint(vendor, _VENDORS.get(row["vendor"], ""))
        shown[3] = _paint(shown[3], _COLORS.get(verdict, ""))
    return "  ".join([clock, vendor, *shown])


def logfmt(row: Row) -> str:
    """Return an event as `key=value` pairs."""
    at = datetime.fromtimestamp(row["at"] / 1000).astimezone().isoformat(timespec="milliseconds")
    pairs = [("time", at), *((key, row[key]) for key in _LOGFMT if row[key] not in ("", None))]
    return " ".join(f"{key}={_quote(str(value))}" for key, value in pairs)


def as_json(row: Row) -> str:
    """Return an event as a JSON object in ASCII."""
    return json.dumps(row)


FORMATS: Mapping[str, Callable[[Row], str]] = {"human": human, "logfmt": logfmt, "json": as_json}


def _paint(text: str, color: str) -> str:
    return f"\x1b[{color}m{text}\x1b[0m" if color else text


def _quote(text: str) -> str:
    is_plain = text and not set(text) & set(' ="\\') and text.isprintable()
    # JSON's escapes are those of logfmt, and leave no control character.
    return text if is_plain else json.dumps(text)
