"""Local overrides in a client-initialize response: of which kind they are, and those of names without a spec."""

from collections.abc import Callable, Mapping

from asyncsdk._rules.bootstrap_entries import FIELDS_BY_KIND, Entry, entry_writer
from asyncsdk._rules.language.specs import Spec
from asyncsdk._rules.ruleset import Kind, Ruleset

HashName = Callable[[str], str]

_SECTIONS: tuple[tuple[str, tuple[Kind, ...]], ...] = (
    ("feature_gates", ("gate",)),
    ("dynamic_configs", ("experiment", "config")),
    ("layer_configs", ("layer",)),
)
_ENTITIES: Mapping[Kind, str] = {"config": "dynamic_config", "experiment": "experiment"}


def override_kind(rules: Ruleset, name: str, spec: Spec) -> Kind:
    """Return as which kind a dynamic config or experiment is evaluated: its own, unless only the other is overridden.

    They differ if there is a bandit with the name: it answers for experiments.
    """
    own: Kind = "config" if spec.entity == "dynamic_config" else "experiment"
    other: Kind = "config" if own == "experiment" else "experiment"
    overrides = rules.shared_context.overrides
    return other if overrides.of(other, name) and not overrides.of(own, name) else own


def unlisted_entries(rules: Ruleset, hash_name: HashName) -> dict[str, tuple[Entry, ...]]:
    """Return entries for overridden names that the ruleset does not have, by section; they need no evaluation."""
    found: dict[str, tuple[Entry, ...]] = {}
    for section, kinds in _SECTIONS:
        # The first kind wins, as it does for names that have a spec.
        named = {name: kind for kind in reversed(kinds) for name in rules.shared_context.overrides.names(kind)}
        entries = []
        for name, kind in named.items():
            program = None if _has_spec(rules, section, name) else rules.program(kind, name)
            if program is not None:
                spec = Spec(name, entity=_ENTITIES.get(kind, ""), id_type="")
                fields_of = FIELDS_BY_KIND["experiment" if kind == "config" else kind]
                entries.append(Entry(program, entry_writer(fields_of, spec, hash_name)))
        if entries:
            found[section] = tuple(entries)
    return found


def _has_spec(rules: Ruleset, section: str, name: str) -> bool:
    is_bandit = section == "dynamic_configs" and rules.raw("cmab_configs", name) is not None
    return is_bandit or rules.raw(section, name) is not None
