"""Loading a body: slicing, malformed bodies, adopted programs, and the ruleset that results."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._model.users import User
from asyncsdk._rules.json_slicer import Member, iter_members
from asyncsdk._rules.language.specs import MalformedError
from asyncsdk._rules.loading import load, load_now, release, run_to_end, supersedes
from asyncsdk._rules.ruleset import empty_ruleset
from rules.rulesets import (
    NEVER,
    PUBLIC,
    compile_all,
    condition,
    config,
    experiment,
    fails,
    gate,
    layer,
    loaded,
    loaded_gates,
    make_context,
    passes,
    rule,
    ruleset,
)

ADA = User("ada")
texts = st.text(st.sampled_from('{}[]",:\\ab\n '), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def members(raw: bytes, *sections: str) -> list[Member]:
    """Return all members of a body, and the openings of its sections."""
    return [member for member in iter_members(raw, frozenset(sections)) if member is not None]


@given(st.dictionaries(texts, values, max_size=4), st.dictionaries(texts, values, max_size=4), st.booleans())
def test_slices_are_what_a_parser_finds(section: dict[str, Any], rest: dict[str, Any], indented: bool) -> None:
    body = {**rest, "s": section}
    raw = orjson.dumps(body, option=orjson.OPT_INDENT_2 if indented else None)

    found: dict[str, Any] = {}
    for name, key, start, end in members(raw, "s"):
        target = found["s"] if name else found
        target[orjson.loads(b'"' + key + b'"')] = {} if key == b"s" and not name else orjson.loads(raw[start:end])

    assert found == body


@given(st.lists(st.dictionaries(texts, values, max_size=3), max_size=6), st.integers(1, 600))
def test_members_are_found_next_to_any_other_members(some: list[dict[str, Any]], padding: int) -> None:
    section = {f"m{place}": {**member, "pad": "x" * padding} for place, member in enumerate(some * 8)}
    raw = orjson.dumps({"s": section, "l": list(section.values())})

    found = [orjson.loads(raw[start:end]) for name, _, start, end in members(raw, "s", "l") if name]

    assert found == [*section.values(), *section.values()]


@given(st.lists(values, max_size=4))
def test_a_section_may_be_a_list(section: list[Any]) -> None:
    raw = orjson.dumps({"s": section})

    assert [orjson.loads(raw[start:end]) for name, _, start, end in members(raw, "s") if name] == section


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{",
        b'{"s"',
        b'{"s":',
        b'{"s":{"a":{}}',
        b'{"s":{"a"}}',
        b'{"a":"x}',
        b'{"a":1',
        b'{"a":1]',
        b"{} x",
        b'{"s":{"a":1]}',
        b'{"s":{"a":}}',
        b'{"s":{"a":{"b":"}}',
        b'{"s":{"a":{"b":"}',
        b'{"a":[1,"x]',
        b'{"s":[1}',
        b'{"a":1,}',
        b'{"a":[}',
        b'{"s":[,]}',
    ],
)
def test_a_malformed_body_is_rejected(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        members(raw, "s")


@pytest.mark.parametrize("raw", [b"{}", b'{"s":{}}', b'{"s":[]}', b" { } ", b'{"s": {"a" : { } } }'])
def test_empty_objects_are_accepted(raw: bytes) -> None:
    assert len(members(raw, "s")) <= 2


def test_every_truncated_body_is_rejected() -> None:
    body = ruleset({"g": gate(rule("a", [PUBLIC]))}, {"c": config()})

    for length in range(len(body)):
        with pytest.raises(MalformedError):
            load_now(body[:length], make_context())


def test_a_body_without_updates_is_not_a_ruleset() -> None:
    assert load_now(b'{"has_updates":false}', make_context()) is None


@pytest.mark.parametrize("body", [b'{"success":true}', b'{"has_updates":true,"time":9}', b'{"condition_map":{}}'])
def test_a_body_without_specs_is_not_a_ruleset(body: bytes) -> None:
    with pytest.raises(MalformedError, match="at least one of feature_gates"):
        load_now(body, make_context())


def test_escaped_names_are_read() -> None:
    rules = loaded(ruleset({'a "b" \n': gate(rule("r", [PUBLIC]))}))

    assert rules.gate(ADA, 'a "b" \n').value is True


def test_a_large_body_is_loaded_in_steps() -> None:
    gates = {f"g{number}": gate(rule("r" * 100, [PUBLIC])) for number in range(1000)}
    slices = 0
    steps = load(ruleset(gates), make_context())
    while next(steps, steps) is not steps:
        slices += 1

    assert slices > 15


def test_a_malformed_spec_does_not_affect_other_names() -> None:
    body = orjson.loads(ruleset({"good": gate(rule("r", [PUBLIC])), "looks": gate(rule("r", [passes("bad")]))}))
    bad: list[Any] = [5, None, [], {"rules": 5}, {"rules": [5]}, {"rules": [{}]}, {"rules": [{"id": "r"}]}, {"salt": 5}]
    bad += [{"rules": [{"id": "r", "passPercentage": 1, "conditions": [5]}]}, {"enabled": "yes"}]

    for spec in bad:
        body["feature_gates"]["bad"] = spec
        rules = loaded(orjson.dumps(body))
        assert rules.gate(ADA, "good").value is True
        assert (rules.gate(ADA, "bad").outcome, rules.gate(ADA, "looks").rule_id) == ("Unsupported", "default")


def test_a_slice_that_is_not_json_does_not_affect_other_names() -> None:
    body = ruleset({"bad": gate(), "good": gate(rule("r", [PUBLIC]))}).replace(b'"enabled":true', b'"enabled":ture', 1)
    rules = loaded(body)

    assert (rules.gate(ADA, "bad").outcome, rules.gate(ADA, "good").value) == ("Unsupported", True)


def test_a_malformed_condition_affects_only_the_specs_that_use_it() -> None:
    body = orjson.loads(ruleset({"a": gate(rule("r", [NEVER])), "b": gate(rule("r", [PUBLIC]))}))
    for malformed in (5, {"idType": 5}):
        body["condition_map"]["0"] = malformed
        rules = loaded(orjson.dumps(body))

        assert (rules.gate(ADA, "a").outcome, rules.gate(ADA, "b").value) == ("Unsupported", True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("salt", 5),
        ("configDelegate", 5),
        ("groupName", {}),
        ("isExperimentGroup", "yes"),
        ("samplingRate", -1),
        ("idType", None),
        ("name", 5),
        ("passPercentage", "100"),
    ],
)
def test_a_rule_with_a_field_of_a_wrong_type_decides_nothing(key: str, value: Any) -> None:
    broken = {**rule("r", [PUBLIC], {"p": 1}), key: value}
    layers = {"l": layer(rule("own", [PUBLIC], {"p": 2}, configDelegate="e"))}
    gates = {"g": gate(broken), "passes": gate(rule("r", [passes("g")])), "fails": gate(rule("r", [fails("g")]))}
    rules = loaded(ruleset(gates, {"e": experiment(broken)}, layers))

    assert (rules.gate(ADA, "g").outcome, rules.experiment(ADA, "e").value) == ("Unsupported", {})
    assert [rules.gate(ADA, name).value for name in ("passes", "fails")] == [False, True]
    assert (rules.layer(ADA, "l").value, rules.layer(ADA, "l").allocated_experiment) == ({"p": 2}, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 2**32),
        ("isActive", "x"),
        ("explicitParameters", [5]),
        ("targetAppIDs", "a"),
        ("entity", 5),
        ("fieldsUsed", {}),
    ],
)
def test_a_spec_with_a_field_of_a_wrong_type_decides_nothing(key: str, value: Any) -> None:
    assert loaded_gates(g={**gate(rule("r", [PUBLIC])), key: value}).gate(ADA, "g").outcome == "Unsupported"


def test_fields_of_a_spec_may_be_missing() -> None:
    body = b'{"has_updates":true,"feature_gates":{"g":{"rules":[{"id":"r","passPercentage":100}]}}}'

    assert loaded(body).gate(ADA, "g").value is True
    salted = condition("user_bucket", "gte", 0) | {"additionalValues": {"salt": 5}}
    assert loaded_gates(g=gate(rule("r", [salted]))).gate(ADA, "g").value is True


FIRST_FORM: dict[str, Any] = {
    "has_updates": True,
    "time": 5,
    "feature_gates": [
        {**gate(rule("r", [PUBLIC])), "name": "on"},
        {**gate(rule("r", [PUBLIC]), enabled=False), "name": "off"},
        {**gate(rule("r", [passes("on")])), "name": "looks"},
        {"no": "name"},
        {"name": 5},
    ],
    "dynamic_configs": [{**config(rule("r", [PUBLIC], {"a": 1})), "name": "c"}],
    "layer_configs": [],
    "layers": {"l": ["c"]},
}


def test_the_v1_format_is_read_and_its_disabled_specs_do_not_run() -> None:
    rules = loaded(orjson.dumps(FIRST_FORM))

    assert (rules.is_inline, rules.gate(ADA, "on").value, rules.gate(ADA, "looks").secondary) == (
        True,
        True,
        (("on", "true", "r"),),
    )
    assert (rules.gate(ADA, "off").value, rules.gate(ADA, "off").rule_id) == (False, "disabled")
    assert rules.config(ADA, "c").value == {"a": 1}


def test_an_element_of_the_v1_format_that_is_not_json_has_no_name() -> None:
    body = orjson.dumps(FIRST_FORM).replace(b'"no":"name"', b'"no":nothing')

    assert loaded(body).gate(ADA, "on").value is True


def test_an_element_of_the_v1_format_without_members_has_no_name() -> None:
    body = orjson.dumps(FIRST_FORM).replace(b'{"no":"name"}', b"{5}")

    assert loaded(body).gate(ADA, "on").value is True


def test_a_long_element_of_the_v1_format_has_its_name() -> None:
    long = {"long": "x" * 200_000, **gate(rule("r", [PUBLIC])), "name": "long"}
    body = orjson.dumps({**FIRST_FORM, "feature_gates": [long]})

    assert loaded(body).gate(ADA, "long").value is True


def test_a_name_of_any_length_is_read() -> None:
    name = "n" * 100_000

    assert loaded_gates(**{name: gate(rule("r", [PUBLIC]))}).gate(ADA, name).value is True


@pytest.mark.parametrize("kind", ["gate", "config", "experiment", "layer"])
def test_a_name_of_any_type_is_unknown(kind: str) -> None:
    rules = loaded_gates(g=gate())

    found = getattr(rules, kind)(ADA, ["g"])

    assert (found.name, found.outcome) == ("(list)", "Unrecognized")
    assert rules.kinds_of(["g"]) == ()  # type: ignore[arg-type]


def test_an_unchanged_body_returns_the_same_ruleset() -> None:
    body = ruleset({"g": gate()})
    first = loaded(body)

    assert load_now(bytes(bytearray(body)), make_context(), previous=first) is first
    assert load_now(body + b" ", first.shared_context, previous=first) is not first


def test_unchanged_names_keep_their_programs() -> None:
    shared_context = make_context()
    gates = {
        "same": gate(rule("r", [PUBLIC])),
        "base": gate(rule("r", [PUBLIC])),
        "looks": gate(rule("r", [passes("base")])),
        "cycle": gate(rule("r", [passes("cycle")])),
    }
    layers = {"l": layer(rule("r", [PUBLIC], configDelegate="e"))}
    first = loaded(ruleset(gates, {"e": experiment()}, layers), shared_context)
    compile_all(first)
    changed = {**gates, "base": gate(rule("r2", [PUBLIC]))}

    second = loaded(ruleset(changed, {"e": experiment()}, layers), shared_context, previous=first)

    assert {name: second.gates.get(name) is first.gates[name] for name in gates} == {
        "same": True,
        "base": False,
        "looks": False,
        "cycle": False,
    }
    assert second.layers["l"] is first.layers["l"]
    assert second.gate(ADA, "looks").secondary == (("base", "true", "r2"),)


def test_a_changed_condition_recompiles_the_specs_that_use_it() -> None:
    shared_context = make_context()
    first = loaded(ruleset({"g": gate(rule("r", [PUBLIC]))}), shared_context)
    assert first.gate(ADA, "g").value is True

    second = loaded(ruleset({"g": gate(rule("r", [NEVER]))}), shared_context, previous=first)

    assert second.gate(ADA, "g").value is False


def test_an_added_gate_recompiles_the_specs_that_refer_to_it() -> None:
    shared_context, looks = make_context(), gate(rule("r", [passes("new")]))
    first = loaded(ruleset({"looks": looks}), shared_context)
    assert first.gate(ADA, "looks").value is False

    second = loaded(ruleset({"looks": looks, "new": gate(rule("r", [PUBLIC]))}), shared_context, previous=first)

    assert second.gate(ADA, "looks").value is True


def test_rules_of_the_same_shape_share_their_code() -> None:
    rules = loaded_gates(
        half=gate(rule("a", [PUBLIC], share=50)),
        some=gate(rule("b", [PUBLIC], share=12.5)),
        all=gate(rule("c", [PUBLIC])),
    )

    half, some, everyone = (rules.find("gate", name).run.__code__ for name in ("half", "some", "all"))  # type: ignore[attr-defined]

    assert half is some
    assert half is not everyone


def test_another_context_adopts_no_programs() -> None:
    body = ruleset({"g": gate(rule("r", [PUBLIC]))})
    first = loaded(body)
    first.gate(ADA, "g")

    assert loaded(body + b"\n", make_context(environment={"tier": "x"}), previous=first).gates == {}


def test_adopting_many_programs_yields() -> None:
    shared_context, gates = make_context(), {f"g{number}": gate() for number in range(120)}
    first = loaded(ruleset(gates), shared_context)
    compile_all(first)

    assert len(list(loaded(ruleset(gates), shared_context).adopt_programs(first))) == 2


@pytest.mark.parametrize(
    ("current", "new", "replaces"),
    [
        ({}, {}, True),
        ({"time": 0}, {"time": 0}, True),
        ({"time": 5}, {"time": 4}, False),
        ({"time": 5, "checksum": "a"}, {"time": 5, "checksum": "a"}, False),
        ({"time": 5, "checksum": "a"}, {"time": 6, "checksum": "a"}, False),
        ({"time": 5, "checksum": "a"}, {"time": 5, "checksum": "b"}, True),
        ({"time": 5}, {"time": 5}, True),
    ],
)
def test_an_older_or_equal_ruleset_does_not_replace(
    current: dict[str, Any], new: dict[str, Any], replaces: bool
) -> None:
    made = [loaded(orjson.dumps({"feature_gates": {}, **fields})) for fields in (current, new)]

    assert supersedes(made[1], made[0]) is replaces


def test_a_released_ruleset_still_works_while_it_is_referenced() -> None:
    rules = loaded(ruleset({f"g{number}": gate(rule("r", [PUBLIC])) for number in range(700)}))
    rules.gate(ADA, "g1")

    assert len(list(release(rules))) >= 3
    assert (rules.gate(ADA, "g1").value, rules.gate(ADA, "g2").value) == (True, True)


def test_without_a_ruleset_every_name_is_unknown() -> None:
    rules = empty_ruleset(make_context(), "Uninitialized")

    found = rules.gate(ADA, "g")

    assert (found.value, rules.reason(found), rules.time_ms, rules.checksum) == (False, "Uninitialized", 0, "")


def test_a_ruleset_knows_whether_it_needs_the_country_table() -> None:
    asks = {"g": gate(rule("r", [condition("ip_based", "any", ["CA"], "country")]))}
    inline = {"has_updates": True, "feature_gates": [{**asks["g"], "name": "g"}]}

    assert loaded(ruleset(asks)).needs_countries
    assert loaded(orjson.dumps(inline)).needs_countries
    assert not loaded_gates(g=gate()).needs_countries
    assert not empty_ruleset(make_context()).needs_countries


def test_reasons_name_source_and_outcome() -> None:
    rules = loaded(ruleset({"g": gate()}), source="Bootstrap")

    assert rules.reason(rules.gate(ADA, "g")) == "Bootstrap:Recognized"


def test_steps_can_be_run_without_yielding() -> None:
    assert run_to_end(load(ruleset(), make_context())) is not None


@pytest.mark.parametrize("broken", [b'{"oops": oops}', b"[]"])
def test_the_kinds_of_a_name_are_known_without_its_rules(broken: bytes) -> None:
    body = ruleset(
        {"g": gate()},
        {"c": config(), "e": experiment(), "broken": config(name="to break")},
        {"l": layer(), "c": layer()},
        cmab_configs={"b": {}, "e": {}},
    )
    rules = loaded(body.replace(orjson.dumps(config(name="to break")), broken))

    kinds = {name: rules.kinds_of(name) for name in ("g", "c", "e", "broken", "l", "b", "unknown")}

    assert kinds == {
        "g": ("gate",), "c": ("config", "layer"), "e": ("experiment",), "broken": ("config",), "l": ("layer",),
        "b": ("experiment",), "unknown": (),
    }  # fmt: skip
    assert rules.kinds_of("g") is rules.kinds_of("g")
