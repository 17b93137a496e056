"""Rules that are valid and very large: they are compiled in steps before they are used, and no lookup has to."""

import logging
import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsdk._model.users import User
from asyncsdk._refresh import Refresher
from asyncsdk._rules.explain import explain
from asyncsdk._rules.language.operators import OPERATORS, prepare_in_steps
from asyncsdk._rules.language.specs import MalformedError, parse
from asyncsdk._rules.loading import load
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._rules.sliced import parse_in_steps, run_to_end
from asyncsdk.vendors.statsig import Rules, Statsig
from rules.call_counts import count_calls
from rules.rulesets import (
    PUBLIC,
    condition,
    config,
    experiment,
    fails,
    gate,
    layer,
    loaded,
    make_context,
    passes,
    rule,
    ruleset,
)

# Calls and returns in a step. 1,000 of them take about 0.1 ms, so that a step stays below 5 ms.
MAX_CALLS = 30_000
COUNT = 2_400
ADA = User("ada", email="ada@x.example", custom={"n": 7})


def email(*targets: str, operator: str = "any") -> Any:
    return condition("user_field", operator, list(targets), "email")


def many_rules() -> dict[str, Any]:
    rules = [rule(f"r{n}", [email(f"{n}@x.example")], salt=f"s{n}", passPercentage=n % 100) for n in range(COUNT)]
    return {"large": gate(*rules, rule("last", [PUBLIC]))}


def long_list(operator: str) -> dict[str, Any]:
    return {
        "large": gate(
            rule("r", [email(*(f"{n}@x.example" for n in range(100_000)), "ada@x.example", operator=operator)])
        )
    }


def nested(test: Any) -> dict[str, Any]:
    inner = {f"g{n}": gate(rule("r", [email(f"{n}@x.example")])) for n in range(COUNT // 4)}
    return {"large": gate(rule("r", [test(name) for name in inner])), **inner}


GATES = {
    "thousands of rules": many_rules,
    "thousands of conditions": lambda: {
        "large": gate(rule("r", [email("ada@x.example", f"{n}") for n in range(COUNT)]))
    },
    "thousands of fields": lambda: {
        "large": gate(
            *[rule(f"r{n}", [condition("user_field", "any", ["x"], f"f{n % 900}")]) for n in range(COUNT // 2)]
        )
    },
    "thousands of nested gates": lambda: nested(fails),
    "a list of 100,000 values": lambda: long_list("any"),
    "a list of 100,000 exact values": lambda: long_list("any_case_sensitive"),
    "a list of buckets": lambda: {
        "large": gate(rule("r", [condition("user_bucket", "any", [str(n) for n in range(100_000)], salt="s")]))
    },
}


def prepared(body: bytes) -> tuple[Ruleset, int]:
    """Return the ruleset of a body as a refresh leaves it, and the calls of the longest step on the way."""
    most, steps = 0, _prepare(body)
    done: list[Ruleset] = []

    def step() -> None:
        found = next(steps)
        if found is not None:
            done.append(found)

    while not done:
        most = max(most, count_calls(step))
    return done[0], most


def _prepare(body: bytes) -> Iterator[Ruleset | None]:
    rules = yield from load(body, make_context())  # type: ignore[misc]
    yield from rules.prepare_large()
    yield rules


@pytest.mark.parametrize("name", GATES)
def test_no_step_and_no_first_lookup_takes_long(name: str) -> None:
    rules, most = prepared(ruleset(GATES[name]()))
    first = count_calls(lambda: rules.gate(ADA, "large"))

    assert most < MAX_CALLS
    assert first < 12 * COUNT
    assert rules.gate(User("bob"), "large").outcome == "Recognized"


@pytest.mark.parametrize("name", GATES)
def test_what_was_compiled_in_steps_answers_as_what_was_compiled_at_once(name: str) -> None:
    body = ruleset(GATES[name]())
    (large, _), at_once = prepared(body), loaded(body)

    for user in (ADA, User("bob", email="7@X.example"), User("cid", custom={"f3": "x"}), User("")):
        assert outcome(large.gate(user, "large")) == outcome(at_once.gate(user, "large"))
    assert explain(large, "gate", ADA, "large").render() == explain(at_once, "gate", ADA, "large").render()


def outcome(found: Any) -> Any:
    return found.value, found.rule_id, found.outcome, found.secondary, found.cause, found.group_name


def test_a_long_layer_a_bandit_and_mappings_are_compiled_in_steps() -> None:
    experiments = {f"e{n}": experiment(rule("r", [PUBLIC], {"p": n}), defaultValue={}) for n in range(300)}
    rules = [rule(f"r{n}", [email(f"{n}@x.example")], {"p": n}, configDelegate=f"e{n}") for n in range(300)]
    groups = [{"id": str(n), "name": str(n), "parameterValues": {"p": n}} for n in range(2_000)]
    bandit = {"enabled": True, "groups": groups, "defaultValue": {}, "salt": "s", "idType": "userID"}
    pairs = [{"rule_name": f"o{n % 50}", "start_time": 0} for n in range(1_000)]
    body = ruleset(
        configs={**experiments, "c": config(defaultValue={"p": 1})},
        layers={"plain": layer(*rules), "merging": layer(*rules, useNewLayerEval=True)},
        cmab_configs={"b": bandit},
        override_rules={f"o{n}": rule("all", [email("nobody")]) for n in range(50)},
        overrides={"c": [{"new_config_name": "e1", "rules": pairs}]},
    )
    found, most = prepared(body)

    assert most < MAX_CALLS
    assert count_calls(lambda: found.layer(ADA, "plain")) < COUNT
    assert count_calls(lambda: found.layer(ADA, "merging")) < 5 * COUNT
    assert count_calls(lambda: found.experiment(ADA, "b")) < COUNT
    assert count_calls(lambda: found.config(ADA, "c")) < 10 * COUNT


PADDING = [rule(f"pad{n}", [email(f"pad{n}")]) for n in range(120)]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32))
def test_a_spec_in_parts_answers_as_one_in_a_single_function(seed: int) -> None:
    chance = random.Random(seed)
    tests = [email("ada@x.example"), email("x"), passes("open"), fails("open"), passes("closed"), fails("gone")]
    tests += [condition("user_bucket", "lt", 500, salt="s"), condition("user_field", "gt", 3, "n"), PUBLIC]
    rules = [
        rule(f"r{n}", chance.choices(tests, k=chance.choice([1, 2, 3, 70])), passPercentage=chance.choice([0, 50, 100]))
        for n in range(chance.randrange(1, 8))
    ]
    inner = {"open": gate(rule("r", [PUBLIC])), "closed": gate(rule("r", [email("x")]))}
    body = ruleset({"short": gate(*rules), "long": gate(*PADDING, *rules), **inner})
    found, _ = prepared(body)

    for user in (ADA, User("bob"), User("cid", email="x", custom={"n": 1})):
        short, long = outcome(found.gate(user, "short")), outcome(found.gate(user, "long"))
        assert (*short[:4], short[5]) == (*long[:4], long[5])


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a", "]", '"', "x" * 40_000]),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["k", "}", '"q']), inner, max_size=3)
        ),
    )
)
def test_long_json_is_parsed_as_at_once(value: Any) -> None:
    for options in (0, orjson.OPT_INDENT_2):
        raw = orjson.dumps([value, "y" * 70_000, {"z": [value] * 3}, value], option=options)
        assert run_to_end(parse_in_steps(raw, "it")) == orjson.loads(raw)


def test_long_json_may_be_blank_or_have_many_members() -> None:
    assert run_to_end(parse_in_steps(b"[" + b" " * 70_000 + b"]", "it")) == []
    many = orjson.dumps({f"k{n}": n for n in range(9_000)})
    assert run_to_end(parse_in_steps(many, "it")) == orjson.loads(many)


async def test_a_long_condition_with_an_unknown_operator_is_unsupported() -> None:
    rules, _ = prepared(ruleset({"large": gate(rule("r", [email(*map(str, range(9_000)), operator="odd")]))}))

    assert rules.gate(ADA, "large").outcome == "Unsupported"


@pytest.mark.parametrize(
    "raw", [b"[1,]", b"[1 2]", b'["a"', b"{1:2}", b'{"a":1,}', b"[" * 300 + b"1" + b"]" * 300, b"[,1]", b'{"a" 1}']
)
def test_long_json_that_is_malformed_is_refused(raw: bytes) -> None:
    pad = b'["' + b"x" * 70_000 + b'",'
    with pytest.raises(MalformedError):
        run_to_end(parse_in_steps(pad + raw + b"]", "it"))


def test_values_that_are_long_at_every_level_are_refused_by_depth() -> None:
    raw = b'["' + b"x" * 70_000 + b'",'
    with pytest.raises(MalformedError):
        run_to_end(parse_in_steps(b"[" * 41 + raw + b"1]" + b"]" * 41, "it"))
    deep = b"[" * 30 + raw + b"[" * 230 + b"]" * 230 + b"]" + b"]" * 30
    with pytest.raises(MalformedError):
        run_to_end(parse_in_steps(deep, "it"))
    assert parse(b"[" * 200 + b"]" * 200, "it")


@pytest.mark.parametrize("operator", OPERATORS)
def test_long_targets_are_prepared_as_at_once(operator: str) -> None:
    row = OPERATORS[operator]
    values = [None, "", "a5", "A5", "5", 5, True, ["a5"], ["A7", "x"], {"a5": 1}]
    for target in ([f"A{n}" for n in range(1_500)] + [f"a{n}" for n in range(800)], {f"a{n}": n for n in range(1_500)}):
        in_steps, at_once = run_to_end(prepare_in_steps(row, target)), row.prepare(target)
        if "segment" not in operator and operator != "str_matches":
            assert [row.test(value, in_steps) for value in values] == [row.test(value, at_once) for value in values]


@pytest.mark.parametrize("operator", ["str_contains_any", "str_starts_with_any", "eq"])
async def test_a_list_that_each_lookup_would_walk_is_refused_with_one_warning(
    operator: str, caplog: pytest.LogCaptureFixture
) -> None:
    gates = {name: gate(rule("r", [email(*map(str, range(11_000)), operator=operator)])) for name in ("a", "b")}
    refresher = Refresher(Statsig("secret-x", rules=Rules(bootstrap=ruleset(gates)), offline=True))
    with caplog.at_level(logging.WARNING):
        await refresher._install(ruleset(gates), "Bootstrap")
        await refresher._install(ruleset(gates, time=2), "Bootstrap")

    assert refresher.rules.gate(ADA, "a").outcome == "Unsupported"
    assert len([record for record in caplog.records if "more than 10,000 values" in record.message]) == 1


async def test_a_spec_that_is_too_large_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    gates = {"huge": gate(*[rule(f"r{n}", [PUBLIC]) for n in range(6_000)])}
    refresher = Refresher(Statsig("secret-x", rules=Rules(bootstrap=ruleset(gates)), offline=True))
    await refresher._install(ruleset(gates), "Bootstrap")
    for _ in range(3):
        assert refresher.rules.gate(ADA, "huge").outcome == "Unsupported"

    [message] = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert message == "Statsig: gate huge is Unsupported: it has more than 5,000 rules, conditions or groups"
