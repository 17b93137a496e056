"""Checks an edited spec before it is served. Pure.

Statsig's own console writes what the servers expect; a person makes mistakes that an SDK would answer by ignoring the
spec without a word. Each mistake has the path of the value.
"""

from collections.abc import Iterator, Mapping

import attrs

from asyncsdk.dev.received_event import Json
from asyncsdk.dev.ruleset_edits import WAITING_RULES, Kind

_TEXTS = ("salt", "idType", "entity", "type")
_MAX_SHOWN = 60


@attrs.frozen
class Mistake:
    """One mistake.

    Attributes:
        path: The value's path in the spec, such as `rules.0.passPercentage`; `""` is the spec itself.
        text: What is wrong, and what is expected.
    """

    path: str
    text: str


def check_spec(spec: Json, kind: Kind, conditions: Mapping[str, Json]) -> list[Mistake]:
    """Return the mistakes in a spec, in the order of its JSON.

    Args:
        spec: The spec.
        kind: Its kind.
        conditions: The conditions that its rules may name.
    """
    if not isinstance(spec, dict):
        return [Mistake("", f"the rules of a {kind} are an object")]
    return [*_check_fields(spec, kind), *_check_rules(spec, "rules", kind, conditions)]


def _check_fields(spec: Mapping[str, Json], kind: Kind) -> Iterator[Mistake]:
    for name in _TEXTS:
        if not isinstance(spec.get(name, ""), str):
            yield Mistake(name, f"{name} is text, not {_shown(spec[name])}")
    if not isinstance(spec.get("enabled", True), bool):
        yield Mistake("enabled", f"enabled is true or false, not {_shown(spec['enabled'])}")
    yield from _check_value(spec.get("defaultValue", False if kind == "gate" else {}), "defaultValue", kind)


def _check_rules(spec: Mapping[str, Json], key: str, kind: Kind, conditions: Mapping[str, Json]) -> Iterator[Mistake]:
    rules = spec.get(key)
    if not isinstance(rules, list):
        yield Mistake(key if key in spec else "", f"{key} has to be a list")
        return
    for number, rule in enumerate(rules):
        yield from _check_rule(rule, f"{key}.{number}", kind, conditions)
    if key == "rules" and WAITING_RULES in spec:
        yield from _check_rules(spec, WAITING_RULES, kind, conditions)


def _check_rule(rule: Json, path: str, kind: Kind, conditions: Mapping[str, Json]) -> Iterator[Mistake]:
    if not isinstance(rule, dict):
        yield Mistake(path, f"a rule is an object, not {_shown(rule)}")
        return
    if not isinstance(rule.get("id"), str):
        yield Mistake(_of(rule, "id", path), "a rule has an id, which is text")
    percentage = rule.get("passPercentage")
    if not _is_percentage(percentage):
        given = "it is missing" if "passPercentage" not in rule else f"not {_shown(percentage)}"
        yield Mistake(_of(rule, "passPercentage", path), f"passPercentage is a number from 0 to 100, {given}")
    for name in ("salt", "groupName", "configDelegate", "name", "idType"):
        if not isinstance(rule.get(name), str | None):
            yield Mistake(f"{path}.{name}", f"{name} is text, not {_shown(rule[name])}")
    yield from _check_conditions(rule, path, conditions)
    if "configDelegate" not in rule:
        yield from _check_value(rule.get("returnValue"), _of(rule, "returnValue", path), kind)


def _check_conditions(rule: Mapping[str, Json], path: str, known: Mapping[str, Json]) -> Iterator[Mistake]:
    conditions = rule.get("conditions")
    if not isinstance(conditions, list):
        yield Mistake(_of(rule, "conditions", path), "a rule has a list of conditions; an empty one matches all users")
        return
    for number, condition in enumerate(conditions):
        place = f"{path}.conditions.{number}"
        if isinstance(condition, str) and condition not in known:
            yield Mistake(place, f'there is no condition "{condition[:_MAX_SHOWN]}" in the ruleset\'s condition_map')
        elif not isinstance(condition, str):
            yield Mistake(place, "a condition is the name of one in the ruleset's condition_map")


def _check_value(value: Json, path: str, kind: Kind) -> Iterator[Mistake]:
    if kind == "gate" and not isinstance(value, bool):
        yield Mistake(path, f"a gate returns true or false, not {_shown(value)}")
    elif kind != "gate" and not isinstance(value, dict):
        yield Mistake(path, f"a {kind} returns an object, not {_shown(value)}")


def _is_percentage(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100


def _of(fields: Mapping[str, Json], name: str, path: str) -> str:
    """Return the path of a field; that of its object if it is missing."""
    return f"{path}.{name}" if name in fields else path


def _shown(value: Json) -> str:
    text = {None: "null", True: "true", False: "false"}.get(value) if isinstance(value, bool | None) else repr(value)
    return str(text)[:_MAX_SHOWN]
