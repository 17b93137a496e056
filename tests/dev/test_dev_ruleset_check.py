"""What is wrong with an edited spec, and where each value of a JSON text stands."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk.dev.json_places import line_and_column, places
from asyncsdk.dev.ruleset_check import check_spec
from asyncsdk.dev.ruleset_edits import find, inside_names, percentage_rule, switched

GOOD = {"id": "r", "passPercentage": 50, "conditions": ["all"], "returnValue": True}


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        ({"rules": {}}, "rules", "rules has to be a list"),
        ({"salt": 1}, "salt", "salt is text, not 1"),
        ({"enabled": "yes"}, "enabled", "enabled is true or false, not 'yes'"),
        ({"defaultValue": None}, "defaultValue", "a gate returns true or false, not null"),
        ({"rules": [1]}, "rules.0", "a rule is an object, not 1"),
        ({"rules": [GOOD | {"id": 1}]}, "rules.0.id", "a rule has an id"),
        ({"rules": [GOOD | {"passPercentage": True}]}, "rules.0.passPercentage", "from 0 to 100, not true"),
        ({"rules": [GOOD | {"passPercentage": "1"}]}, "rules.0.passPercentage", "not '1'"),
        ({"rules": [{k: v for k, v in GOOD.items() if k != "passPercentage"}]}, "rules.0", "it is missing"),
        ({"rules": [GOOD | {"groupName": 3}]}, "rules.0.groupName", "groupName is text"),
        ({"rules": [GOOD, GOOD | {"conditions": None}]}, "rules.1.conditions", "a list of conditions"),
        ({"rules": [GOOD | {"conditions": ["none"]}]}, "rules.0.conditions.0", 'no condition "none"'),
        ({"rules": [GOOD | {"conditions": [{}]}]}, "rules.0.conditions.0", "a condition is the name"),
        ({"rules": [GOOD | {"returnValue": {}}]}, "rules.0.returnValue", "a gate returns true or false, not {}"),
        ({"rulesWhenOn": [1]}, "rulesWhenOn.0", "a rule is an object"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_path(changes: dict[str, Any], path: str, text: str) -> None:
    spec = {"rules": [GOOD], "defaultValue": False} | changes

    (mistake,) = check_spec(spec, "gate", {"all": {}})

    assert mistake.path == path
    assert text in mistake.text


def test_a_good_spec_has_no_mistakes() -> None:
    assert check_spec({"rules": [GOOD]}, "gate", {"all": {}}) == []
    assert check_spec({"rules": [GOOD | {"configDelegate": "e", "returnValue": 1}]}, "layer", {"all": {}}) == []


def test_other_kinds_return_objects() -> None:
    assert [m.text for m in check_spec([], "config", {})] == ["the rules of a config are an object"]
    assert [m.path for m in check_spec({}, "config", {})] == [""]
    assert (
        check_spec({"rules": [], "defaultValue": False}, "layer", {})[0].text == "a layer returns an object, not false"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('abc{}[],:"\\', max_size=3), inner, max_size=3),
    max_leaves=10,
)


def walk(value: Any, path: str = "") -> Any:
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from walk(inner, f"{path}.{key}" if path else str(key))


@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_each_value_is_at_its_place(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    found, paths = places(text), [path for path, _ in walk(value)]

    for path, inner in walk(value):
        if path and paths.count(path) == 1 and ".." not in path and not path.startswith("."):
            assert json.JSONDecoder().raw_decode(text, found[path])[0] == inner


def test_lines_and_columns_count_from_one() -> None:
    text = '{\n "a": [1,\n  2]}'

    assert [line_and_column(text, places(text)[path]) for path in ("", "a", "a.0", "a.1")] == [
        (1, 1), (2, 7), (2, 8), (3, 3),
    ]  # fmt: skip


def test_a_spec_without_a_rule_for_all_users_has_no_percentage() -> None:
    rules = [GOOD | {"passPercentage": 100, "conditions": ["x"]}, GOOD | {"configDelegate": "e"}]

    assert percentage_rule({"condition_map": {"x": {"type": "user_field"}}}, {"rules": rules}) is None


def test_conditions_use_other_names() -> None:
    inline = {"type": "pass_gate", "targetValue": "b"}
    group = {"type": "experiment_group", "field": "e", "targetValue": ["Test"]}
    ruleset = {
        "condition_map": {"1": {"type": "fail_gate", "targetValue": "a"}, "2": group, "3": {"type": "public"}, "4": 1},
        "feature_gates": {"g": {"rules": [{"conditions": [inline, "1"]}]}},
    }

    assert inside_names(ruleset) == {"a", "b", "e"}


def test_a_name_of_two_kinds_is_found_by_its_kind() -> None:
    ruleset = {"feature_gates": {"x": {}}, "dynamic_configs": {"x": {"entity": "experiment"}}}

    assert [getattr(find(ruleset, "x", kind), "kind", None) for kind in (None, "experiment", "config")] == [
        "gate", "experiment", None,
    ]  # fmt: skip


def test_a_spec_that_is_on_stays_as_it_is() -> None:
    found = find({"feature_gates": {"x": {"rules": [GOOD], "enabled": True}}}, "x")

    assert found is not None
    assert switched({}, found, on=True) == found.spec
