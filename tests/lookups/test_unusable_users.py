"""Users that lookups cannot use get the fallback, its reason and one line in the log; verbs refuse them."""

import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson
import pytest
from helpers import ADA, statsig_with_rules
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncsdk import Client, InvalidEventError, Track, User
from asyncsdk._model.events import validate_event
from asyncsdk._model.user_ids import own_id


class Hostile:
    """Raises at whatever is done with it, as an array, pandas.NA or a column of SQLAlchemy does."""

    def _raise(self, *_: object) -> Any:
        raise RuntimeError

    __bool__ = __eq__ = __hash__ = __str__ = __repr__ = __len__ = __iter__ = __getitem__ = _raise  # type: ignore[assignment]
    __lt__ = __int__ = __float__ = __index__ = __getattr__ = __format__ = _raise  # type: ignore[assignment]


class HostileMapping(dict[str, Any]):
    """A mapping that cannot be read."""

    keys = items = __iter__ = __len__ = __bool__ = Hostile._raise  # type: ignore[assignment]


cycle: list[Any] = []
cycle.append(cycle)
ODD: list[Any] = [
    Hostile(),
    HostileMapping(a=1),
    [Hostile()],
    {"x": Hostile()},
    {Hostile.__name__: cycle},
    1.5,
    object(),
    b"x",
    10**5000,
    {1, 2},
]
FIELDS = (
    "user_id", "email", "ip", "user_agent", "country", "locale", "app_version", "custom", "custom_ids", "anonymous_id", "device_id",
    "private_attributes", "statsig_environment",
)  # fmt: skip


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(statsig_with_rules(), close_timeout=0.1) as client:
        yield client


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(
    st.dictionaries(st.sampled_from(FIELDS), st.integers(0, len(ODD) - 1), min_size=1),
    st.sampled_from(["open", "dutch", []]),
)
async def test_no_user_and_no_name_makes_a_lookup_raise(client: Client, places: dict[str, int], name: Any) -> None:
    fields = {field: ODD[place] for field, place in places.items()}
    for user in (User(**fields), fields, *fields.values()):
        await client.check_gate(user, name)
        await client.check_gate(user, name, exposure=False)
        await client.get_gate(user, name)
        await client.get_config(user, "prices" if name else name)
        await client.get_experiment(user, "button" if name else name)
        (await client.get_layer(user, "page" if name else name)).get("color")
        (await client.get_parameter_store(user, "store" if name else name)).get_bool("beta", False)
        client.bind(user).check_gate(name)
        client.explain(user, name).render()
        client.log_exposure(user, name)
        client.bootstrap(user)
        await client.load_assignments(user)


@pytest.mark.parametrize(
    "user", [1.5, ["u"], None, True, b"u", object(), {"userID": "u", "plan": "pro"}, {1: 2}, User(1.5), User("u", ip=5)]
)  # type: ignore[arg-type] # the mistakes under test
@pytest.mark.parametrize("exposure", [True, False])
async def test_an_unusable_user_gets_the_fallback_a_reason_and_one_line(
    client: Client, user: Any, exposure: bool, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert not await client.check_gate(user, "open", exposure=exposure)
    gate, layer = await client.get_gate(user, "open"), await client.get_layer(user, "page")

    assert (gate.value, gate.details.reason) == (False, "Bootstrap:InvalidUser")
    assert (layer.get("color"), layer.details.reason) == (None, "Bootstrap:InvalidUser")
    assert "? the user cannot be used: `" in client.explain(user, "open").render()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("user", [1.5, ["u"], None, True, b"u", object(), {"userID": "u", "plan": "pro"}, {1: 2}])
def test_verbs_refuse_an_unusable_user(user: Any) -> None:
    with pytest.raises(InvalidEventError, match="`user`"):
        validate_event(Track(user, "x"))


@pytest.mark.parametrize("field", FIELDS)
def test_verbs_refuse_a_hostile_field(field: str) -> None:
    with pytest.raises(InvalidEventError):
        validate_event(Track(User(**{"user_id": "u", field: Hostile()}), "x"))


async def test_a_custom_value_without_json_spoils_only_the_lookups_that_read_it(client: Client) -> None:
    user = User("u", custom={"x": Hostile()}, country="NL")

    assert await client.check_gate(user, "dutch")


async def test_an_object_in_statsigs_form_is_that_user(client: Client) -> None:
    found = [await client.check_gate({"userID": "u", "country": country}, "dutch") for country in ("NL", "DE")]

    assert found == [True, False]


def test_every_name_of_statsigs_form_is_a_field() -> None:
    given = {
        "userID": UUID(int=1),
        "email": "e",
        "ip": "i",
        "userAgent": "a",
        "country": "NL",
        "locale": "nl",
        "custom": {"a": 1},
    }
    more = {
        "customIDs": {"companyID": 1},
        "privateAttributes": {"p": 1},
        "statsigEnvironment": {"tier": "x"},
        "appVersion": "1",
    }

    assert User.of({**given, **more}) == User(
        UUID(int=1), email="e", ip="i", user_agent="a", country="NL", locale="nl", custom={"a": 1}, app_version="1",
        custom_ids={"companyID": 1}, private_attributes={"p": 1}, statsig_environment={"tier": "x"},
    )  # fmt: skip
    assert User.of({"clientVersion": "2"}).app_version == "2"


def test_an_unknown_name_is_refused_by_its_name() -> None:
    with pytest.raises(
        InvalidEventError, match=r"no field 'plan'; an object has userID, email, .*others go into `custom`"
    ):
        User.of({"userID": "u", "plan": "pro"})


async def test_one_line_for_each_kind_of_value(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for user in (1.5, 2.5, ["a"], ["b"], User("u", ip=1), User("u", ip=2)):  # type: ignore[arg-type] # the mistakes under test
        await client.check_gate(user, "open")  # type: ignore[arg-type] # as above

    assert len(caplog.records) == 3


def test_a_user_does_not_change() -> None:
    user = User("u", custom={"plan": "free"})

    for change in (
        lambda: setattr(user, "email", "x"),
        lambda: delattr(user, "email"),
        lambda: user.custom.update(plan="pro"),
    ):  # type: ignore[union-attr, attr-defined]
        with pytest.raises(AttributeError, match=r"a user does not change: attrs\.evolve"):
            change()


async def test_later_changes_of_what_a_user_was_built_from_reach_no_one(client: Client) -> None:
    fields: dict[str, Any] = {"country": "NL", "tags": ["a"]}
    user = User("u", custom=fields)
    before = await client.check_gate(user, "dutch")

    fields["country"] = "DE"

    assert (before, await client.check_gate(user, "dutch"), user.custom) == (
        True,
        True,
        {"country": "NL", "tags": ["a"]},
    )


@pytest.mark.parametrize(
    ("kind", "name"), [("gate", "open"), ("config", "prices"), ("experiment", "button"), ("layer", "page")]
)
async def test_a_lookup_without_exposure_says_why_a_user_is_unusable(
    client: Client, kind: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    result = await getattr(client, f"get_{kind}")(User(1.5), name, exposure=False)  # type: ignore[arg-type] # the mistake under test

    assert result.details.reason == "Bootstrap:InvalidUser"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "`user_id` must be text or a whole number" in caplog.text


class OddText(str):
    """Text that cannot be hashed, compared or shown."""

    __slots__ = ()
    __hash__ = __eq__ = __str__ = lower = Hostile._raise  # type: ignore[assignment]


async def test_a_kind_of_text_is_a_name_like_any_other(client: Client) -> None:
    assert await client.check_gate(ADA, OddText("open"))
    assert await client.check_gate(ADA, OddText("open"), exposure=False)
    assert client.bind(ADA).check_gate(OddText("open"))
    assert (await client.get_config(ADA, OddText("prices"))).get("name") == "Kaas"
    assert (await client.get_experiment(ADA, OddText("button"))).group == "Test"
    assert (await client.get_layer(ADA, OddText("page"))).get("color") == "green"
    assert (await client.get_parameter_store(ADA, OddText("store"))).get("fixed") == "always"
    assert client.explain(ADA, OddText("open")).render() == client.explain(ADA, "open").render()


@pytest.mark.parametrize("parameter", [5, [], Hostile()], ids=["an int", "a list", "hostile"])
async def test_an_exposure_of_a_parameter_that_is_no_text_is_not_reported(
    client: Client, parameter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client.log_exposure(ADA, "page", parameter)

    assert "of 'page': the parameter is a" in caplog.text
    assert client._exposures.pending_count == 0


async def test_an_exposure_of_a_name_with_a_lone_surrogate_is_reported(client: Client) -> None:
    client.log_exposure(ADA, "caf\udce9")

    assert client._exposures.pending_count == 1


class Unbound:
    """Like a proxy of a web framework outside of a request: even `isinstance` raises."""

    @property
    def __class__(self) -> Any:  # type: ignore[override] # as above
        raise RuntimeError


async def test_what_cannot_even_be_looked_at_is_a_user_and_a_name_of_no_use(client: Client) -> None:
    custom = User("u", custom={"country": Unbound()})

    for user, name in ((Unbound(), "open"), (custom, "dutch"), (ADA, Unbound())):
        assert not await client.check_gate(user, name)  # type: ignore[arg-type] # the mistakes under test
        assert not await client.check_gate(user, name, exposure=False)  # type: ignore[arg-type]
        client.explain(user, name).render()  # type: ignore[arg-type]
        client.log_exposure(user, name)  # type: ignore[arg-type]
        client.bootstrap(user)  # type: ignore[arg-type]


@pytest.mark.parametrize("event", [Track(Unbound(), "x"), Track(ADA, Unbound()), Track(ADA, "x", Unbound())])  # type: ignore[arg-type]
def test_what_cannot_even_be_looked_at_is_an_invalid_event(event: Track) -> None:
    with pytest.raises(InvalidEventError, match=r"raised RuntimeError|cannot be read: RuntimeError"):
        validate_event(event)


async def test_a_field_that_cannot_even_be_looked_at_makes_a_user_unusable(client: Client) -> None:
    user = User("u", email=Unbound())  # type: ignore[arg-type] # the mistake under test

    assert (await client.get_gate(user, "open")).details.reason == "Bootstrap:InvalidUser"
    with pytest.raises(InvalidEventError, match="a field of the user cannot be read"):
        validate_event(Track(user, "x"))


def test_an_unusable_user_has_no_ids() -> None:
    user = User(1.5)  # type: ignore[arg-type] # the mistake under test

    assert user.unit_id("userID") is None
    with pytest.raises(InvalidEventError, match="`user_id` must be text"):
        own_id(user)


@pytest.mark.parametrize("field", ["custom", "custom_ids", "private_attributes", "statsig_environment"])
def test_a_mapping_that_cannot_be_read_is_refused_by_its_name(field: str) -> None:
    with pytest.raises(InvalidEventError, match=f"`user.{field}` is a mapping that cannot be read"):
        validate_event(Track(User("u", **{field: HostileMapping(a=1)}), "x"))


async def test_a_fragment_that_is_no_json_spoils_the_lookup_that_reads_it(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    gate = await client.get_gate(User("u", custom={"country": orjson.Fragment(b"{")}), "dutch")

    assert (gate.value, gate.details.reason) == (False, "Bootstrap:InvalidUser")
    assert "`user.custom` is" in caplog.text
