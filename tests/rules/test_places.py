"""Where a user's bucket lies, as data."""

import json
import random
from typing import Any

import pytest
from helpers import rule, spec
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk import User
from asyncsdk._rules.explain import explain
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.loading import load_now
from asyncsdk._rules.ruleset import Ruleset


def rules(*conditions: dict[str, Any], **more: Any) -> Ruleset:
    """An experiment with a group for each condition."""
    groups = [rule(str(n), {"n": n}, str(n), groupName=f"G{n}") for n, _ in enumerate(conditions)]
    body = {
        "condition_map": dict(enumerate(conditions)),
        "dynamic_configs": {"e": spec("experiment", {}, *groups)},
        "feature_gates": more,
    }
    context = SharedContext(clock=lambda: 0, random=random.random)
    found = load_now(json.dumps(body).encode(), context)
    assert found is not None
    return found


def bucket(operator: str, target: Any, salt: str = "s") -> dict[str, Any]:
    return {"type": "user_bucket", "operator": operator, "targetValue": target, "additionalValues": {"salt": salt}}


@given(st.text(min_size=1, max_size=8), st.integers(1, 999))
def test_the_part_of_the_user_is_that_of_the_group(user: str, border: int) -> None:
    ruleset = rules(bucket("lt", border), bucket("gte", border))

    found = explain(ruleset, "experiment", User(user), "e")

    place = found.place
    assert place is not None
    assert [part.label for part in place.parts if part.has_user] == [found.evaluation.group_name]
    assert [(part.start, part.end) for part in place.parts] == [(0, border / 1000), (border / 1000, 1)]
    assert place.at == place.bucket / 1000


def test_every_comparison_is_a_border() -> None:
    ruleset = rules(bucket("lte", 99), bucket("gt", "899"), bucket("eq", 500), bucket("lt", None))

    place = explain(ruleset, "experiment", User("u"), "e").place

    assert place is not None
    assert [(part.label, part.start, part.end) for part in place.parts] == [
        ("G0", 0, 0.1), ("G2", 0, 1), ("G1", 0.9, 1),
    ]  # fmt: skip


def test_a_user_outside_all_groups_has_a_place_too() -> None:
    place = explain(rules(bucket("lt", 0), bucket("gt", 998)), "experiment", User("u"), "e").place

    assert place is not None
    assert [part.has_user for part in place.parts] == [False]


@pytest.mark.parametrize(
    "conditions", [[{"type": "public"}], [{"type": "user_field", "field": "x", "operator": "any", "targetValue": []}]]
)
def test_without_buckets_there_is_no_place(conditions: list[dict[str, Any]]) -> None:
    assert explain(rules(*conditions), "experiment", User("u"), "e").place is None
    assert explain(rules(), "experiment", User("u"), "none").place is None


def test_a_group_of_another_salt_has_no_borders() -> None:
    place = explain(rules(bucket("lt", 1000), bucket("gte", 0, "other")), "experiment", User("u"), "e").place

    assert place is not None
    assert [part.label for part in place.parts] == ["G0"]


def test_a_percentage_may_be_any_number() -> None:
    gate = spec("feature_gate", False, rule("r", True, passPercentage=-5))

    place = explain(rules(gate=gate), "gate", User("u"), "gate").place

    assert place is not None
    assert [(part.start, part.end, part.has_user) for part in place.parts] == [(0, 0, False), (0, 1, True)]
