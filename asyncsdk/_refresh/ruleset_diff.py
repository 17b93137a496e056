"""What changed between two versions of the rules."""

import re
from collections.abc import Generator

from asyncsdk._model.reports import RulesetChange
from asyncsdk._rules.ruleset import Ruleset

SECTIONS = {"feature_gates": "gate", "dynamic_configs": "config", "layer_configs": "layer"}
_IS_EXPERIMENT = re.compile(rb'"entity"\s*:\s*"experiment"')
_CONDITION_LISTS = re.compile(rb'"conditions"\s*:\s*\[([^\]]*)\]')
_KEYS = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_NAMES_PER_SLICE = 20

_Names = dict[str, tuple[str, ...]]


def compare(old: Ruleset, new: Ruleset) -> Generator[None, None, RulesetChange]:
    """Say what `new` brings; yields between slices.

    Specs name their conditions by key: one whose condition was edited under the same key has changed as well.
    """
    edited = yield from _edited_conditions(old, new)
    added: dict[str, list[str]] = {}
    changed: dict[str, list[str]] = {}
    removed: dict[str, list[str]] = {}
    for section, kind in SECTIONS.items():
        before, after = old.sections.get(section, {}), new.sections.get(section, {})
        for place, (name, raw) in enumerate(after.items(), 1):
            known = before.get(name)
            if known != raw or (edited and _refers_to(raw, edited)):
                (added if known is None else changed).setdefault(_kind(kind, raw), []).append(name)
            if place % _NAMES_PER_SLICE == 0:
                yield
        for place, (name, raw) in enumerate(before.items(), 1):
            if name not in after:
                removed.setdefault(_kind(kind, raw), []).append(name)
            if place % _NAMES_PER_SLICE == 0:
                yield
    return RulesetChange(new.source, new.time_ms, _freeze(added), _freeze(changed), _freeze(removed))


def _edited_conditions(old: Ruleset, new: Ruleset) -> Generator[None, None, set[bytes]]:
    before, after = old.sections.get("condition_map", {}), new.sections.get("condition_map", {})
    edited = {key.encode() for key in before.keys() - after.keys()}
    yield
    for place, (key, raw) in enumerate(after.items(), 1):
        if before.get(key) != raw:
            edited.add(key.encode())
        if place % _NAMES_PER_SLICE == 0:
            yield
    return edited


def _refers_to(raw: bytes, conditions: set[bytes]) -> bool:
    lists = _CONDITION_LISTS.findall(raw)
    return any(not conditions.isdisjoint(_KEYS.findall(listed)) for listed in lists)


def _kind(kind: str, raw: bytes) -> str:
    return "experiment" if kind == "config" and _IS_EXPERIMENT.search(raw) else kind


def _freeze(names: dict[str, list[str]]) -> _Names:
    return {kind: tuple(found) for kind, found in names.items()}
