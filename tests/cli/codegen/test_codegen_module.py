"""What codegen generates: valid Python, formatted, deterministic, and nothing at run time."""

import ast
import json
import subprocess
import sys
from typing import Any

import pytest
from helpers import ruleset
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsdk import Client, DynamicConfig, Flags
from cli.codegen.projects import ODD_NAMES, PLAN, module_of, odd_plan, odd_ruleset

NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=5, unique=True)


def _run(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(text, "app_flags.py", "exec"), names)  # noqa: S102 -- as an import does
    return names


def _names_in(text: str, alias: str) -> set[Any]:
    """The values of an alias for type checkers."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == alias:
            return {item.value for item in ast.walk(node.value) if isinstance(item, ast.Constant)}
    pytest.fail(f"no {alias}")


@settings(deadline=None, max_examples=25)
@given(NAMES)
def test_any_names_make_a_module_that_has_them(names: list[str]) -> None:
    text = module_of(odd_ruleset(names), odd_plan(names))

    _run(text)
    assert _names_in(text, "GateName") == _names_in(text, "LayerName") == set(names)


def test_at_run_time_the_classes_are_those_without_types() -> None:
    names = _run(module_of(ruleset(), PLAN))

    assert (names["AppFlags"], names["AppClient"]) == (Flags, Client)
    assert (names["PricesConfig"], names["PricesConfigValue"], names["GateName"]) == (DynamicConfig, dict, str)
    assert names["OrderCompletedProperties"](sku="A") == {"sku": "A"}


@pytest.mark.parametrize("length", ["72", "88", "120", "320"])
def test_it_is_formatted_at_any_line_length(length: str) -> None:
    text = module_of(odd_ruleset(ODD_NAMES[::2]), odd_plan(ODD_NAMES[1::2]))

    command = [sys.executable, "-m", "ruff", "format", "--isolated", f"--line-length={length}", "-"]
    formatted = subprocess.run(command, input=text, capture_output=True, text=True, check=True, encoding="utf-8")

    assert formatted.stdout == text


def test_its_lines_are_printable() -> None:
    text = module_of(odd_ruleset(ODD_NAMES), odd_plan(ODD_NAMES))

    assert all(line.isprintable() for line in text.split("\n"))


def test_the_order_in_the_sources_does_not_matter() -> None:
    body = odd_ruleset(ODD_NAMES)
    turned = {section: dict(reversed(members.items())) for section, members in body.items()}

    assert module_of(turned, dict(reversed(PLAN.items()))) == module_of(body, PLAN)


@pytest.mark.parametrize("body", [{"feature_gates": {}}, {"feature_gates": [], "dynamic_configs": []}])
def test_an_empty_project_has_no_names(body: dict[str, Any]) -> None:
    text = module_of(body)

    assert "GateName = Never" in text
    assert "name: Never," in text
    _run(text)


def test_a_plan_alone_leaves_lookups_as_they_are() -> None:
    text = module_of(None, PLAN)

    assert "check_gate" not in text
    assert _names_in(text, "_OrderCompletedEvent") == {"Order Completed"}


def test_rules_alone_leave_track_as_it_is() -> None:
    assert "track" not in module_of(ruleset())


def test_an_empty_plan_allows_objects_only() -> None:
    text = module_of(None, {"events": []})

    assert "event: Revenue | EventObject," in text
    assert "@overload" not in text


def test_both_formats_of_rulesets_give_the_same() -> None:
    gates, configs = {"a": {"enabled": True}}, {"b": {"defaultValue": {"c": 1}, "entity": "dynamic_config"}}
    v1 = {
        "feature_gates": [{"name": name, **spec} for name, spec in gates.items()],
        "dynamic_configs": [{"name": name, **spec} for name, spec in configs.items()],
        "layer_configs": [],
    }

    assert module_of(v1) == module_of({"feature_gates": gates, "dynamic_configs": configs})


def test_many_names_with_the_same_parameters_share_a_class() -> None:
    spec = {"defaultValue": {"on": True}}
    text = module_of({"dynamic_configs": {f"config_{number:04}": spec for number in range(2_000)}})

    assert text.count("(DynamicConfig):") == 1
    assert len(_names_in(text, "ConfigName")) == 2_000


def test_a_command_cannot_leave_its_line() -> None:
    text = module_of({"feature_gates": {}}, command="asyncsdk codegen 'a\nimport os'")

    assert "\n#     asyncsdk codegen 'a?import os'\n" in text


def test_the_types_of_a_parameter_are_those_of_all_its_values() -> None:
    rules = [
        {"returnValue": {"a": "text", "c": None}},
        {"returnValue": {"a": None}},
        {"returnValue": "broken"},
        "broken",
    ]
    text = module_of(
        json.dumps({"dynamic_configs": {"x": {"defaultValue": {"a": 1, "b": []}, "rules": rules}}}).encode()
    )

    assert "        a: str | float | None\n        b: list[Any]\n        c: Any\n" in text
    assert _names_in(text, "_XConfigNumber") == {"a", "c"}
    assert _names_in(text, "_XConfigArray") == {"b", "c"}


def test_a_bandit_is_an_experiment_with_its_groups() -> None:
    groups = [{"id": "1", "name": "Blue", "parameterValues": {"color": "blue"}}, {"id": "2", "parameterValues": 5}]
    text = module_of(
        {"feature_gates": {}, "cmab_configs": {"hue": {"enabled": True, "groups": groups, "defaultValue": {}}}}
    )

    assert 'group: Literal["Blue"] | None' in text
    assert _names_in(text, "_HueExperimentString") == {"color"}


def test_a_malformed_spec_has_its_name_and_no_parameters() -> None:
    text = module_of(
        {"dynamic_configs": {"x": {"defaultValue": 5, "rules": {}}}, "param_stores": {"y": {"parameters": {"a": 5}}}}
    )

    assert "class XConfig(DynamicConfig):\n        def get_string(\n            self,\n            name: Never," in text
    assert _names_in(text, "_YStoreObject") == {"a"}


def test_a_key_with_the_name_of_a_type_does_not_hide_it() -> None:
    plan = {"Booked": {"properties": {"date": {"type": "string", "format": "date"}, "until": {"type": "string"}}}}

    assert 'BookedProperties = TypedDict(\n        "BookedProperties",' in module_of(None, plan)


def test_properties_are_optional_if_the_plan_requires_none() -> None:
    text = module_of(None, PLAN)

    assert "            properties: SignedOutProperties | EventObject | None = None,\n" in text
    assert "            properties: OrderCompletedProperties | EventObject,\n" in text
