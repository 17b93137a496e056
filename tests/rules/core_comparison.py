"""Compares lookups and client-initialize responses with statsig-python-core, over the rulesets of `core_worlds`."""

import random
from collections.abc import Callable, Collection, Iterator
from typing import Any

import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.ruleset import Ruleset
from rules.core_worlds import BANDITS, EXPERIMENTS, GATES, LAYERS, World
from rules.core_worlds import user as any_user
from rules.oracle import Oracle, as_core
from rules.rulesets import Json, loaded, make_context
from rules.rulesets import user as as_user

_ASKED = (
    *(("gate", name) for name in (*GATES, "nameless", "missing")),
    *(("experiment", name) for name in (*EXPERIMENTS, *BANDITS, "nameless_e", "missing")),
    *(("config", name) for name in EXPERIMENTS),
    *(("layer", name) for name in (*LAYERS, "missing")),
)
_KINDS = {"feature_gates": "gate", "dynamic_configs": "experiment", "layer_configs": "layer"}
_PLACES = {
    "gate": "feature_gates",
    "config": "dynamic_configs",
    "experiment": "dynamic_configs",
    "layer": "layer_configs",
}
_SECTIONS = ("feature_gates", "dynamic_configs", "layer_configs")
# Fields of a response that are random or name the package.
_NOT_COMPARED = {"sdkInfo", "sdkParams", "generated_at", "user", *_SECTIONS}


class Difference:
    """One difference.

    Attributes:
        place: Where it is: the kind or the section, and the name; "response" for a response's other fields.
        ours, theirs: The fields that differ.
    """

    def __init__(self, place: tuple[str, str], ours: Json, theirs: Json) -> None:
        self.place, self.all_ours, self.all_theirs = place, ours, theirs
        self.keys = [
            key
            for key in {**ours, **theirs}
            if key not in ours or key not in theirs or not same(ours[key], theirs[key])
        ]
        self.ours = {key: ours[key] for key in self.keys if key in ours}
        self.theirs = {key: theirs[key] for key in self.keys if key in theirs}

    def __repr__(self) -> str:
        return f"{'/'.join(self.place)}: ours {self.ours}, theirs {self.theirs}"


class Comparison:
    """One ruleset in both implementations, with the same local overrides.

    Attributes:
        world: The ruleset.
        count: Number of comparisons so far.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(-seed - 1)
        self.world = World(seed).build()
        self.count = 0
        self.reasons: dict[tuple[str, str], tuple[str, str]] = {}
        body = orjson.dumps(self.world)
        self.oracle = Oracle(body)
        self.overrides = self._override()
        self.rules = loaded(body, make_context(overrides=self.overrides))

    def _override(self) -> Overrides:
        overrides, chance, client = Overrides(), self.chance, self.oracle.client
        if chance.random() < 0.7:
            return overrides
        for _ in range(chance.randrange(1, 4)):
            unit = chance.choice((None, None, "u1", "c1"))
            kind = chance.choice(("gate", "experiment", "layer", "config"))
            name = chance.choice(
                {"gate": GATES, "experiment": (*EXPERIMENTS, *BANDITS), "config": EXPERIMENTS, "layer": LAYERS}[kind]
            )
            value: Any = chance.random() < 0.5 if kind == "gate" else {chance.choice("pqz"): 1}
            method = "override_dynamic_config" if kind == "config" else f"override_{kind}"
            getattr(client, method)(name, value, unit)
            overrides = overrides.set(kind, name, value, unit)  # type: ignore[arg-type]
        return overrides

    def run(self, users: int) -> Iterator[Difference]:
        """Compare everything for so many users, and return the differences."""
        try:
            for _ in range(users):
                fields = any_user(self.chance)
                yield from self._compare_lookups(fields)
                yield from self._compare_responses(fields)
        except BaseException as error:
            # The package panics if a user's list equals the beginning of a target list with duplicates.
            if type(error).__name__ != "PanicException":
                raise
        finally:
            self.oracle.close()

    def _compare_lookups(self, fields: Json) -> Iterator[Difference]:
        ours, theirs = as_user(fields), as_core(fields)
        for kind, name in _ASKED:
            mine, there = our_lookup(self.rules, ours, kind, name), core_lookup(self.oracle, theirs, kind, name)
            self.reasons[kind, name] = mine["reason"], there["reason"]
            yield from self._difference((kind, name), mine, there)

    def _compare_responses(self, fields: Json) -> Iterator[Difference]:
        key, overrides = self.chance.choice((None, None, "k", "unknown")), self.chance.random() < 0.3
        theirs = self.oracle.response(fields, client_sdk_key=key, include_local_overrides=overrides)
        view = client_view(self.rules, hash="none", client_key=key, include_overrides=overrides)
        ours = orjson.loads(client_response(view, as_user(fields), {}))
        for section in _SECTIONS:
            for name in sorted({*ours[section], *theirs[section]}):
                self.outcome = view.rules.lookup(_KINDS[section], as_user(fields), name).outcome  # type: ignore[arg-type]
                yield from self._difference((section, name), ours[section].get(name, {}), theirs[section].get(name, {}))
        yield from self._difference(
            ("response", ""),
            *({name: value for name, value in body.items() if name not in _NOT_COMPARED} for body in (ours, theirs)),
        )

    def _difference(self, place: tuple[str, str], ours: Json, theirs: Json) -> Iterator[Difference]:
        self.count += 1
        if not same(ours, theirs):
            yield Difference(place, ours, theirs)


# Intended differences, each a row of `known_differences`. A predicate returns the fields that its row explains.

Keys = Collection[str]


def _unsupported(comparison: Comparison, difference: Difference) -> Keys:
    kind, name = difference.place
    if kind in _PLACES:
        is_unsupported = comparison.reasons[kind, name] == ("Unsupported", "Unsupported")
    else:
        is_unsupported = kind in _SECTIONS and comparison.outcome == "Unsupported"
    return difference.keys if is_unsupported else ()


def _malformed(comparison: Comparison, difference: Difference) -> Keys:
    kind, name = difference.place
    is_known = name in comparison.world.get(_PLACES.get(kind, ""), ())
    reasons = (difference.ours.get("reason"), difference.theirs.get("reason"))
    return ("reason",) if is_known and reasons == ("Unsupported", "Unrecognized") else ()


def _no_object(_: Comparison, difference: Difference) -> Keys:
    is_empty = difference.place[0] in _SECTIONS[1:] and difference.ours.get("value") == {}
    return ("value",) if is_empty and difference.theirs.get("value", 0) in (None, True, False) else ()


def _no_version(_: Comparison, difference: Difference) -> Keys:
    return ("version",) if difference.ours.get("version", 0) is None else ()


def _targeted_bandit(_: Comparison, difference: Difference) -> Keys:
    rule_id = difference.all_theirs.get("rule_id", "").removesuffix(":explore")
    if rule_id == "inlineTargetingRules":
        return ("group_name", "is_user_in_experiment")
    return ("is_user_in_experiment",) if rule_id[:-1] in (*BANDITS, "e3") else ()


def _leaked_exposures(_: Comparison, difference: Difference) -> Keys:
    if "parameter_rule_ids" not in difference.all_ours:
        return ()
    return [
        key
        for key in ("secondary_exposures", "undelegated_secondary_exposures")
        if all(one in difference.all_theirs.get(key, ()) for one in difference.all_ours[key])
    ]


def _absent_replay_gate(comparison: Comparison, difference: Difference) -> Keys:
    gate = (comparison.world.get("session_replay_info") or {}).get("targeting_gate")
    is_absent = "Unrecognized" in comparison.reasons.get(("gate", gate), ())
    follows_unsupported = any("Unsupported" in reasons for reasons in comparison.reasons.values())
    keys = ("can_record_session", "passes_session_recording_targeting")
    return keys if difference.place[0] == "response" and (is_absent or follows_unsupported) else ()


def _absent_bandit_gate(comparison: Comparison, difference: Difference) -> Keys:
    absent = {"gate": "missing", "gateValue": "false", "ruleID": ""}
    keys = [key for key in difference.keys if key.endswith("secondary_exposures")]
    bandits = comparison.world["cmab_configs"].values()
    if not any(bandit["targetingGateName"] == "missing" for bandit in bandits):
        return ()
    return [
        key
        for key in keys
        if absent in difference.ours[key] and len(difference.ours[key]) == len(difference.theirs[key])
    ]


def _overridden_as_the_other_kind(comparison: Comparison, difference: Difference) -> Keys:
    section, name = difference.place
    if section != "dynamic_configs" or difference.all_ours.get("rule_id") != "override":
        return ()
    own = "config" if comparison.world[section].get(name, {}).get("entity") == "dynamic_config" else "experiment"
    return () if comparison.overrides.of(own, name) else difference.keys


def _only_overridden(_: Comparison, difference: Difference) -> Keys:
    is_only = difference.all_ours.get("rule_id") == "override" and difference.all_theirs == {}
    return difference.keys if is_only else ()


def _merged_exploring_bandit(_: Comparison, difference: Difference) -> Keys:
    is_explored = difference.theirs.get("rule_id") == f"{difference.ours.get('rule_id')}:explore"
    return ("rule_id", "group") if is_explored else ()


EXPLAINED: dict[str, Callable[[Comparison, Difference], Keys]] = {
    "rule id of an unsupported evaluation": _unsupported,
    "malformed spec": _malformed,
    "value that is not an object, in a client response": _no_object,
    "version of a spec that has none": _no_version,
    "group of a user whom a bandit's targeting gate excludes": _targeted_bandit,
    "session replay whose targeting gate is absent, or after an unsupported spec": _absent_replay_gate,
    "rule id of a bandit's absent targeting gate": _absent_bandit_gate,
    "override of a dynamic config as an experiment, or the other way round, in a client response": (
        _overridden_as_the_other_kind
    ),
    "overridden name without a spec in a client response": _only_overridden,
    "rule id of a merging layer over a bandit that explores": _merged_exploring_bandit,
    "merging layer, an experiment that is ignored": _leaked_exposures,
}


def explanations(comparison: Comparison, difference: Difference) -> list[str]:
    """Return the rows of `known_differences` that explain a difference; none if they do not explain all of it."""
    left, rows = {*difference.keys}, []
    for row, explains in EXPLAINED.items():
        explained = left.intersection(explains(comparison, difference))
        if explained:
            left -= explained
            rows.append(row)
    return [] if left else rows


def same(ours: Any, theirs: Any) -> bool:
    """Return whether two JSON values are equal; unlike Python, `true` is not 1."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(value, theirs[key]) for key, value in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours is theirs if isinstance(ours, bool) or isinstance(theirs, bool) else ours == theirs


def our_lookup(rules: Ruleset, user: User, kind: str, name: str) -> Json:
    found: Evaluation = rules.lookup(kind, user, name)  # type: ignore[arg-type]
    fields: Json = {
        "value": found.value,
        "rule_id": found.rule_id,
        "id_type": found.id_type,
        "reason": rules.reason(found).partition(":")[2],
        "version": found.version,
    }
    if kind == "experiment":
        fields |= {"group_name": found.group_name}
    if kind == "layer":
        fields |= {"group_name": found.group_name, "allocated": found.allocated_experiment}
    return fields


def core_lookup(oracle: Oracle, user: Any, kind: str, name: str) -> Json:
    verb = {"gate": "get_feature_gate", "config": "get_dynamic_config"}.get(kind, f"get_{kind}")
    found = getattr(oracle.client, verb)(user, name)
    value = found.to_dict()["__value"] if kind == "layer" else found.value
    fields: Json = {
        "value": value,
        "rule_id": found.rule_id,
        "id_type": found.id_type,
        "reason": found.details.reason.partition(":")[2],
        "version": found.details.version,
    }
    if kind == "experiment":
        fields |= {"group_name": found.group_name}
    if kind == "layer":
        fields |= {"group_name": found.group_name, "allocated": found.allocated_experiment_name}
    return fields
