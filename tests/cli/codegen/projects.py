"""Rulesets and plans that several tests of codegen share."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.loading import load_now
from asyncsdk.cli.codegen.project import Project, read_project
from asyncsdk.cli.codegen.render import render
from asyncsdk.cli.codegen.tracking_plan import read_plan

PLAN: dict[str, Any] = {
    "Order Completed": {
        "type": "object",
        "properties": {
            "sku": {"type": "string"},
            "revenue": {"type": "number"},
            "at": {"type": "string", "format": "date-time"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "address": {
                "type": "object",
                "properties": {"street name": {"enum": ["a", "b | c"]}, "class": {"type": ["string", "null"]}},
            },
        },
        "required": ["sku"],
    },
    "Signed Out": {"type": "object", "properties": {"reason": {"type": "string"}}},
    "Opened": {},
}

# No identifier, keywords, quotes, line ends, text that reorders lines, names of the module itself, equal after NFKC.
ODD_NAMES = [
    *("class", "None", "match", "a b", "a-b", "a_b", "A B", "1st", "", " ", "__dunder", "x" * 150, "word " * 30),
    *('say "hi"', "it's", "both ' and \"", "new\nline", "tab\t", "a\\b", "\u202eevil", "\u2028", "\x00", "\x7f"),
    *(
        "été",
        "注文",
        "🎉",
        "ﬁ",
        "fi",
        "# fmt: skip",
        "{braces}",
        "%s",
        "Literal",
        "Any",
        "Flags",
        "AppFlags",
        "dynamic",
    ),
]


def project_of(body: Mapping[str, Any] | bytes) -> Project:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    rules = load_now(text, SharedContext(clock=int, random=float))
    assert rules is not None
    return read_project(rules)


def odd_ruleset(names: Sequence[str]) -> dict[str, Any]:
    """A ruleset in which everything has odd names."""
    samples = [1, "a", True, None, [1], {"a": 1}]
    value = {name: samples[number % len(samples)] for number, name in enumerate(names)}
    experiment = {"defaultValue": value, "entity": "experiment"}
    return {
        "feature_gates": {name: {"enabled": True} for name in names},
        "dynamic_configs": {name: {"defaultValue": value} for name in names}
        | {
            f"of {name}": {
                **experiment,
                "rules": [{"groupName": name, "returnValue": {name: 1}, "isExperimentGroup": True}],
            }
            for name in names
        },
        "layer_configs": {name: {"defaultValue": {name: 1}} for name in names},
        "param_stores": {name: {"parameters": {name: {"param_type": "string"}}} for name in names},
    }


def odd_plan(names: Sequence[str]) -> dict[str, Any]:
    """A plan in which everything has odd names."""
    properties = {name: {"type": "string"} for name in names}
    return {name: {"type": "object", "properties": properties, "required": [name]} for name in names if name}


def module_of(body: Mapping[str, Any] | bytes | None, plan: Any = None, command: str = "asyncsdk codegen x") -> str:
    project = None if body is None else project_of(body)
    return render(project, None if plan is None else read_plan(plan), command)
