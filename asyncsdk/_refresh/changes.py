"""What changed between two versions of the rules."""

import re
from collections.abc import Generator

from asyncsdk._model.reports import RulesetChange
from asyncsdk._rules.ruleset import Ruleset

SECTIONS = {"feature_gates": "gate", "dynamic_configs": "config", "layer_configs": "layer"}
_IS_EXPERIMENT = re.compile(rb'"entity"\s*:\s*"experiment"')
_NAMES_PER_SLICE = 300

_Names = dict[str, tuple[str, ...]]


def compare(old: Ruleset, new: Ruleset) -> Generator[None, None, RulesetChange]:
    """Say what `new` brings; yields between slices."""
    added: dict[str, list[str]] = {}
    changed: dict[str, list[str]] = {}
    removed: dict[str, list[str]] = {}
    for section, kind in SECTIONS.items():
        before, after = old.sections.get(section, {}), new.sections.get(section, {})
        for place, (name, raw) in enumerate(after.items(), 1):
            known = before.get(name)
            if known != raw:
                (added if known is None else changed).setdefault(_kind(kind, raw), []).append(name)
            if place % _NAMES_PER_SLICE == 0:
                yield
        for place, (name, raw) in enumerate(before.items(), 1):
            if name not in after:
                removed.setdefault(_kind(kind, raw), []).append(name)
            if place % _NAMES_PER_SLICE == 0:
                yield
    return RulesetChange(new.source, new.time_ms, _final(added), _final(changed), _final(removed))


def _kind(kind: str, raw: bytes) -> str:
    return "experiment" if kind == "config" and _IS_EXPERIMENT.search(raw) else kind


def _final(names: dict[str, list[str]]) -> _Names:
    return {kind: tuple(found) for kind, found in names.items()}
