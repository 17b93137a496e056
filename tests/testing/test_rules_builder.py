"""Rules in a few lines are what Statsig's own package takes them for."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rules.rulesets import loaded, make_context
from rules.rulesets import user as user_of

from asyncsdk import Client, ConfigurationError, Rules, Statsig, User
from asyncsdk.testing import DevServer, FakeClient, RulesBuilder

BUILDER = (
    RulesBuilder()
    .segment("staff", email="*@shop.example")
    .segment("staff", users=["ada", 7])
    .gate("everyone")
    .gate("nobody", False)
    .gate("ids", users="ada")
    .gate("half", percentage=50)
    .gate("half of devices", percentage=50, unit="stableID")
    .gate("dutch or staff", country=["NL", "BE"])
    .gate("dutch or staff", segment="staff")
    .gate("staging", environment=["staging", "test"])
    .gate("new app", app_version="2.0", gate="dutch or staff")
    .gate("paying", custom={"plan": ["pro", "team"], "age": 36})
    .gate("mail", email=["ada@shop.example"], locale="nl-NL")
    .config("prices", {"lamp": 29.0}, country="NL")
    .config("prices", {"lamp": 39.0}, percentage=30)
    .experiment("button", {"Control": {"label": "Buy"}, "Test": {"label": "Get it"}, "Bold": {"label": "BUY"}})
    .experiment("small", {"Control": {"x": 1}, "Test": {"x": 2}}, percentage=20, country=["NL"])
    .layer("home", {"title": "Shop", "rows": 3})
    .experiment("welcome", {"Plain": {"title": "Shop"}, "Warm": {"title": "Hi"}}, layer="home", percentage=60)
    .experiment("rows", {"Few": {"rows": 2}, "Many": {"rows": 9}}, layer="home")
)

FIELDS = {
    "userID": st.sampled_from(["ada", "7", "bob", "carol"]) | st.text(max_size=8),
    "email": st.sampled_from(["ada@shop.example", "bob@example.com"]),
    "country": st.sampled_from(["NL", "BE", "FR"]),
    "locale": st.sampled_from(["nl-NL", "en-GB"]),
    "appVersion": st.sampled_from(["1.9", "2.0", "10.1.2"]),
    "custom": st.fixed_dictionaries(
        {}, optional={"plan": st.sampled_from(["pro", "free"]), "age": st.sampled_from([36, "36", 1])}
    ),
    "customIDs": st.fixed_dictionaries({"stableID": st.text(max_size=4)}),
    "statsigEnvironment": st.sampled_from([{"tier": "staging"}, {"tier": "production"}]),
}
PEOPLE = st.lists(st.fixed_dictionaries({}, optional=FIELDS), min_size=4, max_size=4)


@pytest.fixture(scope="module")
def oracle() -> Iterator[Any]:
    pytest.importorskip("statsig_python_core")
    from rules.oracle import Oracle

    oracle = Oracle(orjson.dumps(BUILDER.build()), "production")
    yield oracle
    oracle.close()


@pytest.mark.oracle
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(PEOPLE)
def test_statsig_s_package_evaluates_them_alike(oracle: Any, people: list[dict[str, Any]]) -> None:
    from rules.test_oracle import COMPARISONS

    rules = loaded(orjson.dumps(BUILDER.build()), make_context(environment={"tier": "production"}))
    for fields in people:
        response = oracle.response(fields)
        for section, compare in COMPARISONS.items():
            for name, entry in response[section].items():
                compare(rules, user_of(fields), name, entry)


async def gates_of(client: Client) -> list[str]:
    ada = User(
        "ada",
        email="ada@shop.example",
        country="NL",
        locale="nl-NL",
        app_version="2.1",
        custom={"plan": "pro", "age": 36},
    )
    return [name for name in (await client.get_names()).gates if await client.check_gate(ada, name)]


OPEN = {"everyone", "ids", "dutch or staff", "new app", "paying", "mail"}


async def test_the_dev_server_a_bootstrap_and_a_fake_client_take_them() -> None:
    with DevServer(ruleset=BUILDER.build()) as dev:
        network = Statsig(
            "secret-any", rules=Rules(specs_url=f"{dev.url}/v2/download_config_specs"), log_event_url=dev.url
        )
        async with Client(network) as client:
            found = set(await gates_of(client))
    assert found - {"half", "half of devices"} == OPEN
    offline = Statsig("secret-any", rules=Rules(bootstrap=BUILDER.build()), offline=True)
    async with Client(offline) as client:
        assert set(await gates_of(client)) == found
    assert set(await gates_of(FakeClient(rules=BUILDER))) == found


async def test_a_percentage_and_groups_of_equal_size_are_what_they_say() -> None:
    fake = FakeClient(rules=BUILDER)
    users = [str(number) for number in range(2_000)]

    half = sum([await fake.check_gate(user, "half") for user in users])
    groups = [(await fake.get_experiment(user, "button")).group for user in users]

    assert 900 < half < 1_100
    assert all(550 < groups.count(group) < 780 for group in ("Control", "Test", "Bold"))


async def test_a_segment_opens_its_gates_and_experiments_run() -> None:
    fake = FakeClient(rules=BUILDER)

    assert await fake.check_gate(User("bob", email="bob@shop.example", country="FR"), "dutch or staff")
    assert (await fake.get_gate("u1", "everyone")).rule_id == "everyone:1"
    assert (await fake.get_experiment_groups("button")).is_active


async def test_an_experiment_decides_its_own_parameters_of_a_layer() -> None:
    fake = FakeClient(rules=BUILDER)
    layers = [await fake.get_layer(str(number), "home") for number in range(200)]

    assert {one.allocated_experiment for one in layers} == {"welcome", "rows"}
    values = {(one.allocated_experiment, one.group, one.get("title"), one.get("rows")) for one in layers}
    assert values == {
        ("welcome", "Plain", "Shop", 3),
        ("welcome", "Warm", "Hi", 3),
        ("rows", "Few", "Shop", 2),
        ("rows", "Many", "Shop", 9),
    }


WRONG: list[tuple[Callable[[RulesBuilder], Any], str]] = [
    (lambda b: b.gate("sale", "yes"), "True or False, not 'yes'"),
    (lambda b: b.gate(""), "a name is text"),
    (lambda b: b.gate("sale", percentage=101), "0 to 100, not 101"),
    (lambda b: b.gate("sale", percentage=True), "0 to 100, not True"),
    (lambda b: b.gate("sale", contry="NL"), "no condition 'contry'; it has users, country"),
    (lambda b: b.gate("sale", email=["*@a.example", "b@a.example"]), "add a rule for each"),
    (lambda b: b.gate("sale", users=None), "`users` is an id or a list of them, not None"),
    (lambda b: b.gate("sale", users=[True]), "`users` is an id"),
    (lambda b: b.gate("sale", country=5), "`country` is text or a list of them, not 5"),
    (lambda b: b.gate("sale", custom="plan"), "`custom` is a mapping"),
    (lambda b: b.gate("sale", app_version=2.0), "`app_version` is text, not 2.0"),
    (lambda b: b.config("prices", 3), "'prices' are a mapping, not 3"),
    (lambda b: b.config("prices", {"lamp": object()}), "no form in JSON"),
    (lambda b: b.experiment("button", {}), "needs groups"),
    (
        lambda b: b.experiment("button", {"A": {}}).experiment("button", {"B": {}}),
        "'button' is there already: an experiment",
    ),
    (lambda b: b.config("button", {}).experiment("button", {"A": {}}), "'button' is there already: a dynamic config"),
    (lambda b: b.gate("sale", segment="staff").build(), "the segment 'staff', which was not added"),
    (lambda b: b.gate("sale", gate="other").build(), "the gate 'other', which was not added"),
    (lambda b: b.experiment("button", {"A": {}}, layer="home").build(), "the layer 'home', which was not added"),
]


@pytest.mark.parametrize(("build", "text"), WRONG)
def test_a_mistake_raises_and_says_what_to_pass(build: Callable[[RulesBuilder], Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        build(RulesBuilder())


def test_what_is_built_can_be_changed_and_built_again() -> None:
    builder = RulesBuilder().layer("home", {"a": 1}).experiment("one", {"A": {"a": 2}}, layer="home")
    first = builder.build()

    assert builder.build() == first
    first["feature_gates"]["sale"] = {}
    assert "sale" not in builder.gate("other").build()["feature_gates"]
    assert repr(builder) == "<RulesBuilder: other, one, home>"
