"""Decisions as data: value, rule, reason, the place of the bucket, and the tree of what was evaluated.

Like `initialize.py`, this uses asyncsdk's own evaluation.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle, islice

import attrs

from asyncsdk._model.user_view import fault_of
from asyncsdk._model.users import User
from asyncsdk._rules.explain import Step, explain
from asyncsdk._rules.places import Place
from asyncsdk._rules.ruleset import Kind, Ruleset
from asyncsdk.dev.control.calls import CallError
from asyncsdk.dev.initialize import user_of
from asyncsdk.dev.received_event import Json
from asyncsdk.errors import AsyncSDKError

_WORDS: Mapping[str, str] = {
    "any": "is any of", "none": "is none of", "any_case_sensitive": "is exactly any of",
    "none_case_sensitive": "is exactly none of", "str_starts_with_any": "starts with", "str_ends_with_any": "ends with",
    "str_contains_any": "contains", "str_contains_none": "contains none of", "str_matches": "matches", "eq": "is",
    "neq": "is not", "gt": "is above", "gte": "is at least", "lt": "is below", "lte": "is at most",
    "version_gt": "is above", "version_gte": "is at least", "version_lt": "is below", "version_lte": "is at most",
    "version_eq": "is", "version_neq": "is not", "before": "is before", "after": "is after", "on": "is on",
    "in_segment_list": "is in the ID list", "not_in_segment_list": "is not in the ID list",
    "array_contains_any": "has any of", "array_contains_none": "has none of", "array_contains_all": "has all of",
    "not_array_contains_all": "has not all of",
}  # fmt: skip
_CAMEL = {"userID", "userId", "customIDs", "privateAttributes", "appVersion", "userAgent", "statsigEnvironment"}
_USERS_PER_STEP = 20


def read_user(value: Json) -> User:
    """Build a user from its fields, in Python's names (`user_id`) or in Statsig's (`userID`).

    Raises:
        CallError: It has a field that a user does not have, or one of a wrong type.
    """
    if not isinstance(value, dict):
        raise CallError(400, "a user is an object of its fields, such as user_id, email and custom")
    if not _CAMEL.isdisjoint(value):
        return user_of(value)
    fields = {key: field for key, field in value.items() if field is not None}
    try:
        user = User(**fields)
        fault = fault_of(user)
        if fault:
            raise CallError(400, f"this is not a user: {fault}")
        return user  # noqa: TRY300 -- `fault_of` may raise too
    except (TypeError, ValueError, AsyncSDKError) as error:
        known = ", ".join(name.lstrip("_") for name in attrs.fields_dict(User) if not name.startswith("__"))
        raise CallError(400, f"this is not a user: {error}", known=known) from error


def decide(rules: Ruleset, kind: Kind, user: User, name: str, labels: Mapping[str, str]) -> dict[str, Json]:
    """Return the decision about a name for a user.

    Args:
        rules: The ruleset.
        kind: The kind of the name.
        user: The user.
        name: The name.
        labels: Names of rules by id, as people call them.
    """
    explanation = explain(rules, kind, user, name)
    evaluation = explanation.evaluation
    via = next((step.fields["via"] for step in explanation.steps if step.holds and step.fields.get("via")), None)
    return {
        "kind": kind,
        "value": evaluation.value,
        "rule": evaluation.rule_id,
        "label": labels.get(evaluation.rule_id, evaluation.rule_id),
        "group": evaluation.group_name,
        "reason": explanation.reason,
        "via": via,
        "place": None if explanation.place is None else show_place(explanation.place),
        "tree": [show_step(step, labels) for step in explanation.steps],
    }


def show_place(place: Place) -> dict[str, Json]:
    """Return a place as the API has it."""
    parts = [{"from": p.start, "to": p.end, "label": p.label, "on": p.has_user} for p in place.parts]
    return {"at": place.at, "bucket": place.bucket, "of": place.of, "parts": parts}


def show_step(step: Step, labels: Mapping[str, str]) -> dict[str, Json]:
    """Return a step of an explanation as the API has it."""
    shown: dict[str, Json] = {"t": step.kind, "text": step.text, "holds": step.holds, **step.fields}
    if step.kind == "rule":
        shown["label"] = labels.get(shown["label"], shown["label"])
    if "operator" in shown:
        operator = shown["operator"]
        shown["op"] = _WORDS.get(operator, operator)
    if "percentage" in shown:
        shown["pass"] = shown["percentage"]
    if step.steps:
        shown["steps"] = [show_step(inner, labels) for inner in step.steps]
    return shown


def rule_labels(spec: Mapping[str, Json]) -> Mapping[str, str]:
    """Return the names of a spec's rules by id."""
    rules = [rule for rule in spec.get("rules", []) if isinstance(rule, dict)]
    return {str(rule.get("id")): str(rule.get("name") or rule.get("id")) for rule in rules}


def outcome(rules: Ruleset, kind: Kind, user: User, name: str) -> str:
    """Return in a word what a user gets: `open` or `closed`, the group, or the rule."""
    evaluation = rules.lookup(kind, user, name)
    if kind == "gate":
        return "open" if evaluation.value else "closed"
    return evaluation.group_name or evaluation.rule_id or "default"


def sample_users(count: int, like: Sequence[Mapping[str, Json]]) -> Iterator[User]:
    """Yield users with random ids, and in turn the other attributes of the users in `like`."""
    patterns: Iterable[Mapping[str, Json]] = like or [{}]
    for pattern in islice(cycle(patterns), count):
        yield read_user({**pattern, "user_id": f"sample-{random.getrandbits(64):016x}"})


async def histogram(
    rules: Ruleset, names: Sequence[tuple[Kind, str]], users: Iterable[User]
) -> dict[str, dict[str, int]]:
    """Return how many users get what, by name; other work gets its turn in between."""
    counts: dict[str, Counter[str]] = {name: Counter() for _, name in names}
    for number, user in enumerate(users, 1):
        for kind, name in names:
            counts[name][outcome(rules, kind, user, name)] += 1
        if number % _USERS_PER_STEP == 0:
            await asyncio.sleep(0)
    return {name: dict(count) for name, count in counts.items()}
