"""Find out, without evaluating anything, which names may have another result under the new rules."""

from collections.abc import Sequence

from asyncsdk._rules.compiler.evaluate import Program
from asyncsdk._rules.compiler.linker import NOT_REUSABLE, SECTIONS
from asyncsdk._rules.ruleset import Kind, Ruleset
from asyncsdk.cli._decision import rules_of

Named = tuple[Kind, str]
"""A name and its kind."""
_KINDS = {"feature_gates": "gate", "dynamic_configs": "config", "layer_configs": "layer"}


def edited_parts(old: Ruleset, new: Ruleset, programs: tuple[Program, Program]) -> Sequence[tuple[str, str]]:
    """Return the parts of the rulesets, by section and name, that a name depends on and that differ.

    Under another context or format, everything may differ; so it may in a cycle.
    """
    parts = programs[0].dependencies | programs[1].dependencies
    if old.shared_context != new.shared_context or old.is_inline != new.is_inline:
        return sorted(parts)
    return sorted(part for part in parts if part == NOT_REUSABLE or old.raw(*part) != new.raw(*part))


def is_edited(old: Ruleset, new: Ruleset, named: Named, edited: Sequence[tuple[str, str]]) -> bool:
    """Return whether more than other gates was edited of what a name depends on."""
    own = (SECTIONS[named[0]], named[1])
    for part in edited:
        if part[0] not in ("feature_gates", "condition_map") or part == own:
            return True
    # A condition of a gate is that gate's, if no spec of another kind has it.
    conditions = {name for section, name in edited if section == "condition_map"}
    return bool(conditions) and not conditions.isdisjoint(_own_conditions(old, new, named))


def _own_conditions(old: Ruleset, new: Ruleset, named: Named) -> set[str]:
    """Return the keys of the conditions of a name's own rules, and of those of the configs that it depends on."""
    parts = [(SECTIONS[named[0]], named[1])]
    for rules in (old, new):
        parts += [part for part in rules.find(*named).dependencies if part[0] not in ("feature_gates", "condition_map")]
    found: set[str] = set()
    for rules in (old, new):
        for part in parts:
            for rule in rules_of(rules.raw(*part)):
                keys = rule.get("conditions")
                found |= {key for key in keys if isinstance(key, str)} if isinstance(keys, list) else set()
    return found


def other_names(parts: Sequence[tuple[str, str]], named: Named) -> Sequence[str]:
    """Return the other names among the edited parts, if the name's own rules are not: they are the cause."""
    own = (SECTIONS[named[0]], named[1])
    if own in parts:
        return ()
    return [f"{_KINDS[section]} {name}" for section, name in parts if section in _KINDS]
