"""Valid JSON that is deep or long: no step of loading takes long, and nothing raises where it is used."""

from typing import Any

import orjson
import pytest

from asyncsdk._model.users import User
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.json_slicer import iter_members
from asyncsdk._rules.language.versions import parse_version
from asyncsdk._rules.loading import load
from rules.rulesets import PUBLIC, config, loaded, make_context, rule, ruleset

pytestmark = pytest.mark.timeout(120)  # under coverage, each of the many steps is counted

DEEP = 200_000
VALUES = {
    "nested lists": b"[" * DEEP + b"]" * DEEP,
    "nested objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a long string": b'"' + b"x" * 3_000_000 + b'"',
    "a string of escapes": b'"' + b'\\"' * 1_500_000 + b'"',
    "a string of braces": b'"' + b"{}" * 1_500_000 + b'"',
    "a wide list": b"[" + b"[]," * 300_000 + b"1]",
    "white space": b"[" + b" " * 3_000_000 + b"]",
    "a long key": b'{"' + b"k" * 3_000_000 + b'":1}',
    "a long number": b"[1" + b"0" * 1_000_000 + b"]",
}


def hostile(value: bytes) -> bytes:
    """Put a value where rules may have one: a returned value, a target, a field that nothing reads."""
    specs = {"c": config(rule("r", [PUBLIC], {"v": "HERE"})), "ok": config(rule("r", [PUBLIC], {"v": 1}))}
    return ruleset(configs=specs, more="HERE", param_stores={"s": "HERE"}).replace(b'"HERE"', value)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_loading_takes_many_steps(value: bytes) -> None:
    body = hostile(value)

    assert sum(1 for _ in load(body, make_context())) > len(body) / 500_000
    assert [member for member in iter_members(body, frozenset({"dynamic_configs"})) if member]


@pytest.mark.parametrize("depth", [200, 300, 1_000, 2_000, 50_000])
def test_a_spec_that_is_nested_too_deeply_affects_only_itself(depth: int) -> None:
    rules, user = loaded(hostile(b"[" * depth + b"]" * depth)), User("ada")

    assert rules.config(user, "c").outcome == ("Recognized" if depth < 250 else "Unsupported")
    assert rules.config(user, "ok").value == {"v": 1}
    body: dict[str, Any] = orjson.loads(client_response(client_view(rules, hash="none"), user, {}))
    assert "ok" in body["dynamic_configs"]


@pytest.mark.parametrize("value", [b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP])
def test_a_deep_value_is_not_cut_level_by_level(value: bytes) -> None:
    rules = loaded(hostile(value))

    assert sum(1 for _ in rules.prepare_large()) < 1_000


def test_a_version_of_very_many_parts_is_no_version() -> None:
    assert parse_version("1." * 1_000_000) == (None,)
    assert parse_version("1." * 9_000 + "1") == (1,) * 9_001
