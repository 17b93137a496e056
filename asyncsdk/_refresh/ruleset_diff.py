"""Compares two versions of the rules by their raw bytes, without parsing them.

A spec changed if its bytes did, or if it refers to a condition whose bytes did: in v2, conditions are shared, and specs
refer to them by key. Gates that a spec refers to are not followed; they are reported themselves.
"""

import re
from collections.abc import Generator

from asyncsdk._model.reports import RulesetChange
from asyncsdk._rules.ruleset import Ruleset

SECTIONS = {"feature_gates": "gate", "dynamic_configs": "config", "layer_configs": "layer"}
# Regular expressions on the raw JSON: the answer is needed once, so a parse of each spec would not pay.
_IS_EXPERIMENT = re.compile(rb'"entity"\s*:\s*"experiment"')
_CONDITION_LISTS = re.compile(rb'"conditions"\s*:\s*\[([^\]]*)\]')
_KEYS = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_NAMES_PER_STEP = 20
"""Names compared between two yields."""

_Names = dict[str, tuple[str, ...]]


def compare(old: Ruleset, new: Ruleset) -> Generator[None, None, RulesetChange]:
    """Return the names that were added, changed or removed in `new`. Yields between steps."""
    edited = yield from _edited_conditions(old, new)
    added: dict[str, list[str]] = {}
    changed: dict[str, list[str]] = {}
    removed: dict[str, list[str]] = {}
    for section, kind in SECTIONS.items():
        before, after = old.sections.get(section, {}), new.sections.get(section, {})
        for position, (name, raw) in enumerate(after.items(), 1):
            known = before.get(name)
            # The scan for conditions is the expensive part: skip it if no condition was edited.
            if known != raw or (edited and _refers_to(raw, edited)):
                (added if known is None else changed).setdefault(_kind(kind, raw), []).append(name)
            if position % _NAMES_PER_STEP == 0:
                yield
        for position, (name, raw) in enumerate(before.items(), 1):
            if name not in after:
                removed.setdefault(_kind(kind, raw), []).append(name)
            if position % _NAMES_PER_STEP == 0:
                yield
    return RulesetChange(new.source, new.time_ms, _freeze(added), _freeze(changed), _freeze(removed))


def _edited_conditions(old: Ruleset, new: Ruleset) -> Generator[None, None, set[bytes]]:
    """Return the keys of conditions that were added, changed or removed. Yields between steps."""
    before, after = old.sections.get("condition_map", {}), new.sections.get("condition_map", {})
    edited = {key.encode() for key in before.keys() - after.keys()}
    yield
    for position, (key, raw) in enumerate(after.items(), 1):
        if before.get(key) != raw:
            edited.add(key.encode())
        if position % _NAMES_PER_STEP == 0:
            yield
    return edited


def _refers_to(raw: bytes, conditions: set[bytes]) -> bool:
    """Return whether a rule of a spec has one of the conditions."""
    lists = _CONDITION_LISTS.findall(raw)
    return any(not conditions.isdisjoint(_KEYS.findall(listed)) for listed in lists)


def _kind(kind: str, raw: bytes) -> str:
    """Return the kind of a spec: configs and experiments share a section."""
    return "experiment" if kind == "config" and _IS_EXPERIMENT.search(raw) else kind


def _freeze(names: dict[str, list[str]]) -> _Names:
    return {kind: tuple(of_kind) for kind, of_kind in names.items()}
