"""The exposure window: which exposures are due, and which ones sampling keeps."""

from typing import Any

import pytest

from asyncsdk._model.users import User
from asyncsdk._rules.exposure_window import AUTOMATIC, ExposureWindow
from rules.rulesets import (
    NEVER,
    PUBLIC,
    Json,
    field,
    gate,
    loaded,
    loaded_gates,
    passes,
    rule,
    ruleset,
)
from rules.small_project import ADA, project


def test_an_exposure_is_new_once_per_window() -> None:
    rules, window = project(), ExposureWindow()
    evaluation = rules.gate(ADA, "g")

    first = [
        window.is_new(ADA, evaluation),
        window.is_new(User("ada"), evaluation),
        window.is_new(User("bob"), evaluation),
    ]
    window.reset()

    assert (first, window.is_new(ADA, evaluation)) == ([True, False, True], True)


def test_a_manual_exposure_is_deduplicated_separately() -> None:
    evaluation, window = project().gate(ADA, "g"), ExposureWindow()

    assert [
        window.is_new(ADA, evaluation),
        window.is_new_kind(ADA, evaluation, ("", True)),
        window.is_new_kind(ADA, evaluation, ("", True)),
    ] == [True, True, False]


def test_other_ids_and_parameters_are_other_exposures() -> None:
    rules, window = project(), ExposureWindow()
    evaluation = rules.layer(ADA, "l")

    assert window.is_new_kind(ADA, evaluation, ("p", False))
    assert window.is_new_kind(ADA, evaluation, ("q", False))
    assert window.is_new_kind(User("ada", custom_ids={"companyID": 5}), evaluation, ("p", False))
    assert not window.is_new_kind(User("ada", custom_ids={"companyID": "5"}), evaluation, ("p", False))


def test_visited_gates_do_not_make_another_exposure() -> None:
    asks = gate(rule("r", [passes("country")]), rule("same", [PUBLIC]))
    rules = loaded_gates(country=gate(rule("nl", [field("country", "any", ["NL"])]), rule("be", [NEVER])), g=asks)
    window = ExposureWindow()

    one, other = rules.gate(User("ada", country="NL"), "g"), rules.gate(User("ada", country="NL"), "g")

    assert (window.is_new(ADA, one), window.is_new(ADA, other)) == (True, False)


def test_unknown_names_have_exposures_of_their_own() -> None:
    rules, window = project(), ExposureWindow()

    assert [window.is_new(ADA, rules.gate(ADA, name)) for name in ("x", "y", "x")] == [True, True, False]


def test_unknown_names_are_exposed_once_per_kind() -> None:
    rules, window = project(), ExposureWindow()

    assert [window.is_new(ADA, evaluation) for evaluation in (rules.gate(ADA, "x"), rules.experiment(ADA, "x"))] == [
        True
    ] * 2


def test_a_forgotten_exposure_is_new_again() -> None:
    rules, window = project(), ExposureWindow()
    evaluation = rules.gate(ADA, "g")
    window.forget_one(ADA, evaluation, AUTOMATIC)

    first = window.is_new(ADA, evaluation)
    window.forget_one(ADA, evaluation, AUTOMATIC)

    assert (first, window.is_new(ADA, evaluation)) == (True, True)


def test_an_unhashable_id_is_new_each_time() -> None:
    evaluation, window, odd = project().gate(ADA, "g"), ExposureWindow(), User(["ada"])  # type: ignore[arg-type] # the subject of this test

    window.forget_one(odd, evaluation, AUTOMATIC)

    assert window.is_new(odd, evaluation)
    assert window.is_new(odd, evaluation)
    assert window.is_new_kind(odd, evaluation, ("p", False))


def test_a_full_window_is_followed_by_a_new_one() -> None:
    evaluation, window = project().gate(ADA, "g"), ExposureWindow(max_exposures=2)

    assert window.is_new(ADA, evaluation)
    window.count(1)
    assert not window.is_new(ADA, evaluation)
    window.count(1)
    assert window.is_new(ADA, evaluation)


def sampled(mode: str, user: User, **spec: Any) -> list[Any]:
    gates = {"g": gate(rule("r", [PUBLIC], samplingRate=10), **spec)}
    rules = loaded(ruleset(gates, sdk_configs={"sampling_mode": mode}))
    window, evaluation = ExposureWindow(), rules.gate(user, "g")
    return [window.sampling(rules, User(str(number)), evaluation) for number in range(500)]


def test_sampling_keeps_the_first_and_some_of_the_rest() -> None:
    first, *rest = sampled("on", ADA)

    kept = [one for one in rest if one is not None]
    assert first == {}
    assert 10 < len(kept) < 120
    assert kept[0]["samplingRate"] == 10


def test_sampling_distinguishes_anonymous_users() -> None:
    gates = {"g": gate(rule("r", [PUBLIC], samplingRate=10))}
    rules, window = loaded(ruleset(gates, sdk_configs={"sampling_mode": "on"})), ExposureWindow()
    evaluation = rules.gate(ADA, "g")
    window.sampling(rules, ADA, evaluation)

    kept = [window.sampling(rules, User(anonymous_id=str(number)), evaluation) is not None for number in range(500)]

    assert set(kept) == {True, False}


def test_shadow_sampling_drops_nothing_and_reports_its_decision() -> None:
    rest = sampled("shadow", ADA)[1:]

    assert {one["shadowLogged"] for one in rest} == {"logged", "dropped"}


@pytest.mark.parametrize(("mode", "spec"), [("none", {}), ("on", {"forwardAllExposures": True})])
def test_without_a_mode_or_when_all_are_forwarded_nothing_is_sampled(mode: str, spec: Json) -> None:
    assert all(one == {} for one in sampled(mode, ADA, **spec))


def test_default_rules_have_the_special_case_rate() -> None:
    gates = {"g": gate(), "plain": gate(rule("r", [PUBLIC]))}
    rules = loaded(ruleset(gates, sdk_configs={"sampling_mode": "on", "special_case_sampling_rate": 5}))
    window = ExposureWindow()

    kept = [window.sampling(rules, User(str(number)), rules.gate(ADA, "g")) is not None for number in range(200)]

    assert 5 < sum(kept) < 120
    assert all(window.sampling(rules, User(str(number)), rules.gate(ADA, "plain")) == {} for number in range(50))


def test_what_passed_a_gate_without_a_rate_is_not_sampled() -> None:
    gates = {
        "free": gate(rule("r", [PUBLIC])),
        "rated": gate(rule("r", [PUBLIC], samplingRate=10)),
        "one": gate(rule("r", [passes("free")], samplingRate=10)),
        "two": gate(rule("r", [passes("rated")], samplingRate=10)),
    }
    rules = loaded(ruleset(gates))

    assert [rules.gate(ADA, name).forward_all for name in ("one", "two")] == [True, False]


def test_a_repr_counts_exposures_and_outcomes() -> None:
    evaluation, window = project().gate(ADA, "g"), ExposureWindow(max_exposures=9)
    window.is_new(ADA, evaluation)
    window.count(1)

    assert repr(window) == "<ExposureWindow 1 of 9 exposures, 1 outcomes>"
