"""No ruleset and no user causes unbounded work. Work is counted as calls; work in C is limited by the test timeout."""

from contextlib import suppress
from typing import Any

import attrs
import orjson
import pytest

from asyncsdk._model.users import User
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.explain import explain
from asyncsdk._rules.json_slicer import iter_members
from asyncsdk._rules.language.operators import OPERATORS
from asyncsdk._rules.patterns.errors import UnsupportedError
from rules.call_counts import CountedBytes, count_calls
from rules.rulesets import (
    PUBLIC,
    Json,
    condition,
    config,
    experiment,
    fails,
    gate,
    loaded,
    make_context,
    passes,
    rule,
    ruleset,
    user,
)

ADA, BOB = user({"userID": "ada"}), user({"userID": "bob"})
COUNT = 40
LONG: list[Any] = [
    "1" * 100_000 + "x",
    "1." * 50_000 + "x",
    "." * 100_000,
    "2024-01-01T00:00:00." + "0" * 100_000,
    "a" * 100_000,
    " " * 100_000,
    ["x"] * 30_000,
    10**4000,
    {"a": "b" * 100_000},
]


def gate_graph(targets: Any) -> Json:
    """Gates that depend on each other: gate n on those that `targets(n)` returns, each with `passes` or `fails`."""
    return {f"g{n}": gate(rule("r", [test(f"g{k}") for k, test in targets(n)])) for n in range(COUNT)}


GRAPHS = {
    "a chain": gate_graph(lambda n: [(n + 1, passes)]),
    "a tree that shares its branches": gate_graph(lambda n: [(n + 1, passes), (n + 1, fails), (n + 2, passes)]),
    "each on all that follow": gate_graph(lambda n: [(k, passes) for k in range(n + 1, COUNT)]),
    "each on each other": gate_graph(lambda n: [(k, passes) for k in range(COUNT) if k != n]),
    "each on itself, often": gate_graph(lambda n: [(n, passes)] * 50),
}


@pytest.mark.parametrize("graph", GRAPHS)
def test_nested_gates_do_not_multiply_the_work(graph: str) -> None:
    rules = loaded(ruleset(GRAPHS[graph]))

    first = count_calls(lambda: rules.gate(ADA, "g0"))
    again = count_calls(lambda: rules.gate(BOB, "g0"))

    edges = sum(len(spec["rules"][0]["conditions"]) for spec in GRAPHS[graph].values())
    assert first < 400 * (COUNT + edges)
    assert again < 10 * (COUNT + edges)


@pytest.mark.parametrize("graph", GRAPHS)
def test_an_explanation_is_bounded(graph: str) -> None:
    rules = loaded(ruleset(GRAPHS[graph]))

    assert count_calls(lambda: explain(rules, "gate", ADA, "g0").render()) < 1_500_000


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_client_response_is_bounded(graph: str) -> None:
    rules = loaded(ruleset(GRAPHS[graph]))

    assert count_calls(lambda: client_response(client_view(rules), ADA, {})) < 1_500_000


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_are_fast_on_long_values(operator: str) -> None:
    row = OPERATORS[operator]
    targets = [row.prepare(target) for target in ("1", "1.2.3", ["a", "1"], {"a": "b"}, 5, "^a+$", *LONG)]
    if "segment" in operator:
        targets = [lambda unit: unit == "ada"]

    for value in LONG:
        for target in targets:
            with suppress(UnsupportedError):  # a pattern, or a text for one, that is too long
                assert row.test(value, target) in (True, False)


def test_a_user_with_long_values_is_evaluated() -> None:
    for value in LONG[:6]:
        kinds = [
            condition("ua_based", "any", ["Chrome"], "browser_name"),
            condition("ip_based", "any", ["NL"], "country"),
            condition("user_bucket", "lt", 1000, salt="s"),
            condition("unit_id", "in_segment_list", "list"),
        ]
        rules = loaded(
            ruleset({f"g{n}": gate(rule("r", [one])) for n, one in enumerate(kinds)}),
            make_context(id_lists={"list": frozenset()}),
        )
        one = user({"userID": value, "userAgent": value, "ip": value, "customIDs": {"companyID": value}})

        assert [rules.gate(one, f"g{n}").value for n in range(len(kinds))] == [False, False, True, False]


@pytest.mark.parametrize("part", ["rules", "conditions"])
def test_a_spec_with_too_many_rules_is_unsupported(part: str) -> None:
    few, many = (
        gate(*[rule(f"r{n}", [PUBLIC]) for n in range(count)])
        if part == "rules"
        else gate(rule("r", [PUBLIC] * (count - 1)))
        for count in (2_000, 6_000)
    )
    rules = loaded(ruleset({"few": few, "many": many, "other": gate(rule("r", [PUBLIC]))}))

    assert [rules.gate(ADA, name).outcome for name in ("few", "many", "other")] == [
        "Recognized",
        "Unsupported",
        "Recognized",
    ]


def test_a_bandit_with_too_many_groups_is_unsupported() -> None:
    groups = [{"id": str(n), "name": str(n), "parameterValues": {}} for n in range(6_000)]
    bandit = {"enabled": True, "groups": groups, "defaultValue": {}, "salt": "s", "idType": "userID"}
    rules = loaded(ruleset(cmab_configs={"b": bandit}))

    assert rules.experiment(ADA, "b").outcome == "Unsupported"


def test_too_many_mappings_are_ignored() -> None:
    pairs = [{"rule_name": "all", "start_time": 0}]
    mappings = [{"new_config_name": "other", "rules": pairs * 6_000}]
    rules = loaded(
        ruleset(
            configs={"c": config(defaultValue={"p": 1}), "other": experiment(defaultValue={"p": 2})},
            override_rules={"all": rule("all", [PUBLIC])},
            overrides={"c": mappings},
        )
    )

    assert rules.config(ADA, "c").value == {"p": 1}


@pytest.mark.parametrize("text", ["{", "}", '\\"{', "plain"])
def test_braces_in_texts_do_not_multiply_the_search_for_members(text: str) -> None:
    def searches(count: int) -> int:
        body = orjson.dumps({"s": {f"m{n}": {"text": text, "inner": {"n": n}} for n in range(count)}})
        CountedBytes.searches = 0
        assert len(list(iter_members(CountedBytes(body), frozenset({"s"})))) == count + 1
        return CountedBytes.searches

    assert searches(2_000) < 3 * searches(1_000)


def test_memory_on_a_user_starts_with_the_second_lookup_and_is_bounded() -> None:
    rules = loaded(ruleset({f"g{number}": gate(rule("r", [PUBLIC])) for number in range(700)}))
    one = User("x")

    rules.gate(one, "g0")
    assert not one._memo
    for number in range(700):
        assert rules.gate(one, f"g{number}").value is True

    assert one._memo
    assert len(one._memo) <= 500
    assert rules.gate(one, "g699") is rules.gate(one, "g699")
    assert attrs.evolve(one)._memo is None
