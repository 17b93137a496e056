"""Compares lookups and client-initialize responses with statsig-python-core, over the rulesets of `core_worlds`."""

import random
from collections.abc import Callable, Collection, Iterator
from itertools import zip_longest
from typing import Any

import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.exposures import exposures_to_json
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
_TOO_DEEP = "Statsig Evaluation Depth Exceeded"
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
        self.outcome = ""
        self.outcomes: set[str] = set()
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
        # One spec that is nested too deeply empties the whole response.
        if not theirs["has_updates"]:
            return
        for section in _SECTIONS:
            for name in sorted({*ours[section], *theirs[section]}):
                self.outcome = view.rules.lookup(_KINDS[section], as_user(fields), name).outcome  # type: ignore[arg-type]
                self.outcomes.add(self.outcome)
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
        ours, theirs = comparison.reasons[kind, name]
        is_unsupported = ours == "Unsupported" and theirs in ("Unsupported", _TOO_DEEP)
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


def _targeted_bandit(comparison: Comparison, difference: Difference) -> Keys:
    allocated = difference.all_theirs.get("allocated", difference.all_theirs.get("allocated_experiment_name"))
    if allocated in comparison.world["cmab_configs"] and difference.ours.get("group_name") is None:
        return ("group_name", "is_user_in_experiment")
    rule_id = difference.all_theirs.get("rule_id", "").removesuffix(":explore")
    if rule_id == "inlineTargetingRules":
        return ("group_name", "is_user_in_experiment")
    return ("is_user_in_experiment",) if rule_id[:-1] in (*BANDITS, "e3") else ()


def _leaked_exposures(comparison: Comparison, difference: Difference) -> Keys:
    if not comparison.world["layer_configs"].get(difference.place[1], {}).get("useNewLayerEval"):
        return ()
    keys = [key for key in difference.keys if key.endswith("secondary_exposures")]
    return [key for key in keys if all(one in difference.theirs.get(key, ()) for one in difference.ours.get(key, ()))]


def _absent_replay_gate(comparison: Comparison, difference: Difference) -> Keys:
    gate = (comparison.world.get("session_replay_info") or {}).get("targeting_gate")
    reasons = comparison.reasons.get(("gate", gate), ())
    is_absent = "Unrecognized" in reasons
    follows_unsupported = "Unsupported" in (*comparison.outcomes, *reasons)
    keys = ("can_record_session", "passes_session_recording_targeting")
    return keys if difference.place[0] == "response" and (is_absent or follows_unsupported) else ()


def _absent_bandit_gate(comparison: Comparison, difference: Difference) -> Keys:
    absent = {
        gate
        for bandit in comparison.world["cmab_configs"].values()
        if "Unrecognized" in comparison.reasons.get(("gate", gate := bandit["targetingGateName"]), ())
    }
    return [
        key
        for key in difference.keys
        if key.endswith("secondary_exposures")
        and all(
            one == other or (one["gate"] == other["gate"] and one["gate"] in absent and one["ruleID"] == "")
            for one, other in zip_longest(
                difference.ours.get(key, ()), difference.theirs.get(key, ()), fillvalue={"gate": None}
            )
        )
    ]


def _too_deep(comparison: Comparison, difference: Difference) -> Keys:
    is_too_deep = comparison.reasons.get(difference.place) == (_TOO_DEEP, _TOO_DEEP)
    return ("id_type", "version") if is_too_deep else ()


def _too_deep_bandit_gate(comparison: Comparison, difference: Difference) -> Keys:
    is_excluded = difference.theirs.get("rule_id") == "inlineTargetingRules"
    is_too_deep = difference.ours.get("reason") == _TOO_DEEP or difference.all_ours == {}
    return difference.keys if is_excluded and is_too_deep else ()


def _odd_bandit_gate(comparison: Comparison, difference: Difference) -> Keys:
    allocated = difference.all_theirs.get("allocated", difference.all_theirs.get("allocated_experiment_name"))
    overrides, bandits = comparison.world.get("overrides", {}), comparison.world["cmab_configs"]
    names = {allocated, *(mapping["new_config_name"] for mapping in overrides.get(allocated, ()))}
    gates = {bandits[name]["targetingGateName"] for name in names if name in bandits}
    is_odd = any(gate in overrides or "Unrecognized" in comparison.reasons.get(("gate", gate), ()) for gate in gates)
    return [key for key in difference.keys if key.endswith("secondary_exposures") and is_odd]


def _overridden_as_the_other_kind(comparison: Comparison, difference: Difference) -> Keys:
    section, name = difference.place
    if section != "dynamic_configs":
        return ()
    is_config = comparison.world[section].get(name, {}).get("entity") == "dynamic_config"
    own, other = ("config", "experiment") if is_config else ("experiment", "config")
    overrides = comparison.overrides
    return difference.keys if overrides.of(other, name) and not overrides.of(own, name) else ()


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
    "exposures of a layer over a bandit whose targeting gate is absent or mapped": _odd_bandit_gate,
    "id type and version of an evaluation that is nested too deeply": _too_deep,
    "bandit whose targeting gate is nested too deeply": _too_deep_bandit_gate,
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
    """Return what a lookup found, with the fields of `core_lookup`."""
    found: Evaluation = rules.lookup(kind, user, name)  # type: ignore[arg-type]
    fields: Json = {
        "value": found.value,
        "rule_id": found.rule_id,
        "id_type": found.id_type,
        "reason": rules.reason(found).partition(":")[2],
        "version": found.version,
    }
    if kind in ("experiment", "layer"):
        fields |= {"group_name": found.group_name, "is_active": bool(found.is_active)}
        fields["secondary_exposures"] = exposures_to_json(found.secondary)
    return fields | ({"allocated": found.allocated_experiment} if kind == "layer" else {})


def core_lookup(oracle: Oracle, user: Any, kind: str, name: str) -> Json:
    """Return what the package found; from its internal result, which alone has exposures."""
    verb = {"gate": "feature_gate", "config": "dynamic_config"}.get(kind, kind)
    found = getattr(oracle.client, f"_INTERNAL_get_{verb}")(user, name, None)
    details = found["details"]
    fields: Json = {
        "value": found["value"] if kind == "gate" else found.get("value") or {},
        "rule_id": found["ruleID"],
        "id_type": found.get("idType") or "",
        "reason": details["reason"].partition(":")[2],
        "version": details["version"],
    }
    if kind in ("experiment", "layer"):
        exposed = found.get("secondaryExposures") or []
        fields |= {"group_name": found.get("groupName"), "is_active": bool(found.get("isExperimentActive"))}
        fields["secondary_exposures"] = [one for place, one in enumerate(exposed) if one not in exposed[:place]]
    return fields | ({"allocated": found.get("allocatedExperimentName")} if kind == "layer" else {})
