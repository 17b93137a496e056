"""Compares sticky assignments with the vendor's package: results, what is saved and deleted, and the keys."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from asyncsdk._model.users import User
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._rules.sticky import Enforcement, SavedAssignments, assign, storage_key, storage_keys
from rules.rulesets import Json, loaded, make_context, user
from rules.strategies import EXPERIMENTS, LAYERS, rulesets, users

pytest.importorskip("statsig_python_core")
from statsig_python_core import ExperimentEvaluationOptions, LayerEvaluationOptions

from rules.oracle import Oracle, Storage, as_core

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(120)]
NAMES = [("experiment", name) for name in EXPERIMENTS] + [("layer", name) for name in LAYERS]
SECTIONS = {"experiment": "dynamic_configs", "layer": "layer_configs"}
RULE_IDS = ["r0", "targetingGate", "inlineTargetingRules", "x:id_override"]
Unit = dict[str, Any]


@st.composite
def worlds(draw: st.DrawFn) -> Json:
    """Rulesets whose experiments are mostly active, with override and targeting rules."""
    world: Json = draw(rulesets())
    for spec in world["dynamic_configs"].values():
        if spec["entity"] == "experiment":
            spec["isActive"] = draw(st.sampled_from([True, True, True, False]))
        for rule in spec["rules"]:
            rule["id"] = rule["name"] = draw(st.sampled_from([*RULE_IDS, rule["id"]]))
    return world


def entries() -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {
            "value": st.booleans(),
            "json_value": st.sampled_from([{"p": "kept"}, {}, None]),
            "rule_id": st.just("old"),
            "group_name": st.sampled_from(["Old", None]),
            "secondary_exposures": st.just([{"gate": "x", "gateValue": "true", "ruleID": "y"}]),
            "undelegated_secondary_exposures": st.just([]),
            "config_delegate": st.sampled_from([None, "nowhere", *EXPERIMENTS]),
            "explicit_parameters": st.sampled_from([None, ["p"]]),
            "time": st.just(1),
            "config_version": st.sampled_from([3, None]),
        }
    )


saved_before = st.dictionaries(st.sampled_from([name for _, name in NAMES]), entries(), max_size=5)
# In the package, an empty id is a unit, shared by all users without an id.
people = st.lists(
    users().filter(lambda fields: fields["userID"] and "" not in fields["customIDs"].values()), min_size=2, max_size=3
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), worlds(), people, saved_before, st.builds(Enforcement, st.booleans(), st.booleans()))
def test_assignments_evaluate_and_change_alike(
    first: Json, then: Json, crowd: list[Json], saved: Unit, enforced: Enforcement
) -> None:
    environment = {"tier": "staging"}
    theirs: dict[str, Unit] = {key: dict(saved) for fields in crowd for key in storage_keys(user(fields))}
    ours = {key: dict(unit) for key, unit in theirs.items()}
    for world in (first, then):
        body = orjson.dumps(world)
        oracle, rules = Oracle(body, "staging", Storage(theirs)), loaded(body, make_context(environment=environment))
        try:
            for fields in crowd:
                one = user(fields)
                for kind, name in NAMES:
                    key = storage_key(one, world[SECTIONS[kind]][name]["idType"])
                    kept = None if key is None else ours.setdefault(key, {})
                    mine = look_up(rules, kind, one, name, kept=kept, enforced=enforced)
                    try:
                        copy = dict(theirs.get(key or "", {}))
                        there = ask(oracle, kind, fields, name, kept=copy, enforced=enforced)
                    except BaseException as error:
                        if type(error).__name__ == "PanicException":
                            reject()  # the package panics on a list of the user that is longer than the target
                        raise
                    assert mine == there, (kind, name)
                    assert state(ours) == state(theirs), (kind, name)
        finally:
            oracle.close()


def look_up(rules: Ruleset, kind: Any, one: User, name: str, *, kept: Unit | None, enforced: Enforcement) -> Any:
    """Look a name up with our code, and apply the change to `kept`."""
    shown = rules.lookup(kind, one, name)
    if kept is not None:
        found = assign(rules, kind, one, shown, kept, enforced=enforced)
        shown = found.evaluation
        if found.save is not None:
            kept[name] = found.save
        elif found.deletes:
            del kept[name]
    return shown.value, shown.rule_id, shown.group_name, shown.version, rules.reason(shown) == "Persisted"


def ask(oracle: Oracle, kind: str, fields: Json, name: str, *, kept: SavedAssignments, enforced: Enforcement) -> Any:
    """Look a name up with the package, which gets the assignments of the unit from the caller."""
    options: Any = {
        "user_persisted_values": kept,
        "enforce_overrides": enforced.overrides,
        "enforce_targeting": enforced.targeting,
    }
    found: Any
    if kind == "experiment":
        found = oracle.client.get_experiment(as_core(fields), name, ExperimentEvaluationOptions(**options))
        value = found.value
    else:
        found = oracle.client.get_layer(as_core(fields), name, LayerEvaluationOptions(**options))
        value = found.to_dict()["__value"]
    return value, found.rule_id, found.group_name, found.details.version, found.details.reason == "Persisted"


def state(kept: dict[str, Unit]) -> Any:
    """Return assignments in a comparable form: the package writes null for empty lists, and duplicate exposures."""
    return {
        key: {name: {field: _plain(value) for field, value in entry.items()} for name, entry in unit.items()}
        for key, unit in kept.items()
        if unit
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [one for position, one in enumerate(value) if one not in value[:position]] or None
    return value
