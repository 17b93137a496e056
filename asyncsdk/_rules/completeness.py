"""Tells a ruleset from a body that is JSON but lacks a part of it.

The sections of specs are `feature_gates`, `dynamic_configs` and `layer_configs`. A body without them must never replace
rules: every gate that it leaves out would be off, and if its time is later than the project's, good downloads would not
bring the gates back.

| field | in a download, or in the cache | in a bootstrap, which may be written by hand |
|---|---|---|
| `has_updates` | true | true, or left out |
| `time` | a whole number of 0 or more | the same, or left out |
| three sections of specs | all, each an object; or each a list (v1) | at least one, of that type |
| `condition_map` | an object; in v1, the same or left out | an object, or left out |
| all other fields that evaluations use | of their type, null, or left out | the same |

statsig-python-core 0.24.2 keeps the last good rules in each of these cases (tried 2026-11-30).
"""

from collections.abc import Mapping
from typing import Any

from asyncsdk._rules.language.specs import MalformedError

SPEC_SECTIONS = ("feature_gates", "dynamic_configs", "layer_configs")
CONDITIONS = "condition_map"
_OTHER_SECTIONS = ("param_stores", "cmab_configs", "override_rules", "overrides")
TYPED_SECTIONS = (*SPEC_SECTIONS, CONDITIONS, *_OTHER_SECTIONS)
"""Top-level fields whose members are looked up by name."""

_OBJECT, _NUMBER, _TEXT = "an object", "a whole number", "text"
_FACT_TYPES: dict[str, tuple[str, str]] = {
    "has_updates": ("true or false", "tf"),
    "time": (_NUMBER, "0123456789"),
    "checksum": (_TEXT, '"n'),
    "default_environment": (_TEXT, '"n'),
    "sdk_configs": (_OBJECT, "{n"),
    "session_replay_info": (_OBJECT, "{n"),
    "sdk_keys_to_app_ids": (_OBJECT, "{n"),
    "hashed_sdk_keys_to_app_ids": (_OBJECT, "{n"),
}
"""Names of facts, each with its type and the first characters that a value of it may have; `n` is null's."""
FACTS = frozenset((*_FACT_TYPES, "app_id"))
"""Top-level fields that are parsed when a ruleset is loaded; `app_id` may be of any type."""
_MAX_TIME_MS = 2**63


def check_complete(types: Mapping[str, bytes], facts: Mapping[str, Any], *, is_handmade: bool) -> None:
    """Check that a body is a complete ruleset: see the table at the head of this file.

    Args:
        types: The first byte of the value of each top-level field, which tells its type.
        facts: The facts.
        is_handmade: Whether the short form is enough.

    Raises:
        MalformedError: It is not; the message names the field.
    """
    if not is_handmade:
        _require(types, "has_updates", "time", *SPEC_SECTIONS)
    elif not any(section in types for section in SPEC_SECTIONS):
        msg = f"a ruleset has at least one of {', '.join(SPEC_SECTIONS)}"
        raise MalformedError(msg)
    for name, (expected, firsts) in _FACT_TYPES.items():
        if name in types and types[name].decode("latin-1") not in firsts:
            raise _wrong(name, expected)
    name, time = "time", facts.get("time", 0)
    if not isinstance(time, int) or time >= _MAX_TIME_MS:
        raise _wrong(name, _NUMBER)
    _check_sections(types, is_handmade=is_handmade)


def _check_sections(types: Mapping[str, bytes], *, is_handmade: bool) -> None:
    specs = {types[section] for section in SPEC_SECTIONS if section in types}
    if not specs <= {b"{"} and not specs <= {b"["}:
        section = next(name for name in SPEC_SECTIONS if types.get(name, b"{") != b"{")
        raise _wrong(section, _OBJECT)
    is_v1 = specs == {b"["}
    if not (is_handmade or is_v1):
        _require(types, CONDITIONS)
    if types.get(CONDITIONS, b"{") != b"{":
        raise _wrong(CONDITIONS, _OBJECT)
    for section in _OTHER_SECTIONS:
        if types.get(section, b"{") not in (b"{", b"n"):
            raise _wrong(section, _OBJECT)


def _require(types: Mapping[str, bytes], *names: str) -> None:
    for name in names:
        if name not in types:
            msg = f"the ruleset has no `{name}`"
            raise MalformedError(msg)


def _wrong(name: str, expected: str) -> MalformedError:
    return MalformedError(f"`{name}` of the ruleset is not {expected}")
