"""User agents, compared with the vendor's parser (recorded from statsig-python-core 0.24.0)."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._model.users import User
from asyncsdk._rules.language.user_agent import UserAgent, parse
from rules.agents import AGENTS
from rules.rulesets import PUBLIC, condition, gate, loaded, make_context, rule, ruleset

RECORDED = orjson.loads((Path(__file__).parent / "recorded_agents.json").read_bytes())


@pytest.mark.parametrize("agent", AGENTS)
def test_a_user_agent_is_parsed_as_the_vendor_does(agent: str) -> None:
    assert parse(agent) == UserAgent(*RECORDED[agent])


@given(
    st.lists(st.sampled_from([word for agent in AGENTS for word in agent.split()]), max_size=12).map(" ".join)
    | st.text()
)
def test_no_user_agent_breaks_the_parser(agent: str) -> None:
    assert isinstance(parse(agent), UserAgent)


def test_a_very_long_user_agent_is_not_parsed() -> None:
    assert parse("x" * 1001) is None
    assert parse("é" * 501) is None


def ruleset_testing(field: str, *targets: str) -> bytes:
    """A ruleset whose gate `g` tests a part of the user agent."""
    return ruleset(
        {"g": gate(rule("r", [condition("ua_based", "any", list(targets), field)])), "p": gate(rule("r", [PUBLIC]))}
    )


@pytest.mark.parametrize(
    ("field", "target"),
    [
        ("os_name", "ios"),
        ("osVersion", "18.6.2"),
        ("browserName", "mobile safari"),
        ("browser_version", "18.6"),
        ("other", ""),
    ],
)
def test_a_condition_tests_a_part_of_the_user_agent(field: str, target: str) -> None:
    agent = next(agent for agent in AGENTS if "Version/18.6 Mobile" in agent)
    rules = loaded(ruleset_testing(field, target))

    assert rules.gate(User("x", user_agent=agent), "g").value is True
    assert rules.gate(User("x", custom={"userAgent": agent}), "g").value is True
    assert rules.gate(User("x", user_agent="axios/1"), "g").value is (field == "other")


def test_a_custom_field_wins_over_the_user_agent() -> None:
    rules = loaded(ruleset_testing("os_name", "mine"))

    assert rules.gate(User("x", user_agent="Android 9", custom={"os_name": "mine"}), "g").value is True
    assert rules.gate(User("x"), "g").value is False


def test_the_user_agent_parser_can_be_replaced() -> None:
    rules = loaded(
        ruleset_testing("os_name", "hooked", ""),
        make_context(user_agent=lambda agent: UserAgent("Hooked") if agent == "a" else None),
    )

    assert [rules.gate(User("x", user_agent=agent), "g").value for agent in ("a", "b")] == [True, True]


def test_the_user_agent_cache_is_emptied_when_full() -> None:
    rules = loaded(ruleset_testing("os_name", "other"))

    assert all(rules.gate(User("x", user_agent=f"agent/{number}"), "g").value for number in range(2500))


@pytest.mark.parametrize(
    ("user", "country"),
    [
        (User("x", ip="24.48.0.1"), True),
        (User("x", ip="24.48.0.1", country="NL"), False),
        (User("x", custom={"ip": "24.48.0.1"}), True),
        (User("x", ip="::1"), False),
        (User("x"), False),
    ],
)
def test_a_country_is_the_users_field_or_that_of_the_ip_address(user: User, country: bool) -> None:
    rules = loaded(
        ruleset(
            {
                "g": gate(rule("r", [condition("ip_based", "any", ["CA"], "country")])),
                "o": gate(rule("r", [condition("ip_based", "any", ["CA"], "Country")])),
            }
        )
    )

    assert rules.gate(user, "g").value is country
    assert rules.gate(user, "o").value is False
