"""Overrides as one JSON document, in which a fleet shares them.

[{"kind": "gate", "name": "sale", "unit": "ada", "value": true},
{"kind": "experiment", "name": "button", "unit": null, "group": "Test"}]
"""

import json
from collections.abc import Iterator
from typing import Any

from asyncsdk._rules.language.overrides import KINDS, GroupOverride, Overrides


def encode_overrides(overrides: Overrides) -> bytes:
    """Return overrides as a document; equal ones as equal documents."""
    rows = sorted(_rows(overrides), key=lambda row: (row["kind"], row["name"], row["unit"] or "", row["unit"] is None))
    # Not orjson: names may have half of a surrogate pair.
    return json.dumps(rows, separators=(",", ":"), sort_keys=True).encode()


def _rows(overrides: Overrides) -> Iterator[dict[str, Any]]:
    for kind in KINDS:
        for name in overrides.names(kind):
            for unit, value in overrides.of(kind, name).items():
                content = {"group": value.name} if isinstance(value, GroupOverride) else {"value": value}
                yield {"kind": kind, "name": name, "unit": unit, **content}


def decode_overrides(document: bytes) -> Overrides:
    """Return the overrides of a document. Those that this version does not know are left out.

    Raises:
        ValueError: It is not a document of overrides.
    """
    rows = json.loads(document)
    if not isinstance(rows, list):
        msg = "not a list"
        raise ValueError(msg)  # noqa: TRY004 -- as for text that is no JSON
    overrides = Overrides()
    for row in rows:
        if _is_known(row):
            value = GroupOverride(row["group"]) if "group" in row else row["value"]
            overrides = overrides.set(row["kind"], row["name"], value, row.get("unit"))
    return overrides


def _is_known(row: object) -> bool:
    if not isinstance(row, dict) or row.get("kind") not in KINDS or not isinstance(row.get("name"), str):
        return False
    if not isinstance(row.get("unit"), str | None):
        return False
    if "group" in row:
        return row["kind"] == "experiment" and isinstance(row["group"], str)
    return isinstance(row.get("value"), bool if row["kind"] == "gate" else dict)
