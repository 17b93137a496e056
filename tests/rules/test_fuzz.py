"""Mutated rulesets: any body is rejected as a whole, or evaluated without raising and with bounded work."""

import os
import random
from functools import partial
from typing import Any

import orjson
import pytest

from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.explain import explain
from asyncsdk._rules.language.specs import MalformedError
from asyncsdk._rules.loading import load_now
from asyncsdk._rules.parameters import evaluate_parameter
from asyncsdk._rules.sticky import Enforcement, assign
from rules.call_counts import count_calls
from rules.rulesets import make_context, user
from rules.sample_project import WORLD

ROUNDS = int(os.environ.get("ASYNCSDK_FUZZ_ROUNDS", "40"))
LONG = "1" * 50_000 + "x"
_JUNK: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1e300,
    2**63,
    "",
    "x",
    "g0",
    [],
    {},
    [None],
    {"a": None},
    [[]],
    "(a+)+",
    "^(a{1,3})*$",
    "a?" * 30 + "a" * 30,
    "checkout",
    "e0",
    "home",
    LONG,
    [LONG] * 20,
)
# Far more than any lookup in `WORLD` makes, even with a list forty times as long; far less than exponential work.
_MAX_CALLS = 1_000_000
PEOPLE = [
    user({"userID": "u", "custom": {"plan": "x", "level": 3}, "ip": "1.2.3.4", "userAgent": "axios/1"}),
    user(
        {"userID": None, "custom": [1], "customIDs": 5, "privateAttributes": "x", "statsigEnvironment": 5, "email": {}}
    ),
    user({"userID": LONG, "email": LONG, "userAgent": LONG, "ip": LONG, "appVersion": LONG, "custom": {"plan": LONG}}),
]


def mutate(chance: random.Random, value: Any) -> Any:
    """Return a JSON value with one random change."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        if chance.random() < 0.1:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: mutate(chance, value[key])}
    if isinstance(value, list) and value and chance.random() < 0.9:
        if chance.random() < 0.05:
            return value * 40
        place = chance.randrange(len(value))
        return [*value[:place], mutate(chance, value[place]), *value[place + 1 :]]
    return chance.choice(_JUNK)


def use(body: bytes) -> None:
    """Load a body, evaluate everything in it, and bound the calls of each lookup."""
    try:
        rules = load_now(body, make_context())
    except MalformedError:
        return
    if rules is None:
        return
    for one in PEOPLE:
        for kind, section in (
            ("gate", "feature_gates"),
            ("config", "dynamic_configs"),
            ("experiment", "dynamic_configs"),
            ("experiment", "cmab_configs"),
            ("layer", "layer_configs"),
        ):
            for name in list(rules.names(section)):
                count_calls(partial(rules.lookup, kind, one, name), _MAX_CALLS)  # type: ignore[arg-type]
                rules.reason(rules.lookup(kind, one, name))  # type: ignore[arg-type]
                explain(rules, kind, one, name).render()  # type: ignore[arg-type]
        evaluate_parameter(rules, one, "store", "a")
        for kind, name in (("experiment", "e0"), ("layer", "l0")):
            live = rules.lookup(kind, one, name)  # type: ignore[arg-type]
            assign(rules, kind, one, live, {name: {}}, enforced=Enforcement(overrides=True, targeting=True))  # type: ignore[arg-type]
        orjson.loads(client_response(client_view(rules, client_key="k"), one, {}))


@pytest.fixture(autouse=True, scope="module")
def country_table() -> None:
    """Load the country table before calls are counted: it is loaded once per process."""
    make_context().country("24.48.0.1")


@pytest.mark.timeout(600)
def test_a_mutated_ruleset_never_raises() -> None:
    chance = random.Random(20)
    for _ in range(ROUNDS):
        world = WORLD
        for _ in range(chance.randrange(1, 5)):
            world = mutate(chance, world)
        use(orjson.dumps(world))


@pytest.mark.timeout(600)
def test_a_body_with_flipped_bytes_never_raises() -> None:
    chance = random.Random(21)
    body = orjson.dumps(WORLD)
    for _ in range(ROUNDS):
        broken = bytearray(body)
        for _ in range(chance.randrange(1, 4)):
            broken[chance.randrange(len(broken))] = chance.choice(b'{}[]",:0aZ\\\x00\xff')
        use(bytes(broken))
