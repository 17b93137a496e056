"""The public surface as its users write it: never run, only type-checked (`tests/test_typing.py`).

A line with `type: ignore` is a mistake that the types must detect; mypy complains if they do not.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Unpack, assert_type

import attrs

from asyncsdk import (
    Alias,
    AllResults,
    Amplitude,
    AssignmentsHealth,
    AsyncSDKError,
    Client,
    ClientClosedError,
    ConfigurationError,
    Delivery,
    Destination,
    DestinationHealth,
    DestinationReport,
    Details,
    DynamicConfig,
    EngineHealth,
    Event,
    EventObject,
    EventOptions,
    Experiment,
    ExperimentGroup,
    ExperimentGroups,
    Explanation,
    FeatureGate,
    Flags,
    ForkedProcessError,
    Group,
    Health,
    HttpSettings,
    Identify,
    IdentifyEvent,
    IngestionMetadata,
    InvalidEventError,
    Layer,
    Limits,
    LogEvent,
    LookupResult,
    Middleware,
    Names,
    Next,
    OverridesHealth,
    Page,
    ParameterStore,
    Payload,
    Plan,
    QueueFullError,
    RawEvent,
    Receipt,
    Report,
    RequestInfo,
    Revenue,
    RudderStack,
    Rules,
    RulesetChange,
    RulesHealth,
    Screen,
    SpoolHealth,
    SpoolLike,
    StartError,
    StartReport,
    Statsig,
    Track,
    TransactionError,
    User,
    UserLike,
    WrongEventLoopError,
    map_events,
    redact,
    sample,
)
from asyncsdk.dev import DevServer, Fault
from asyncsdk.stores import FileAssignments, FileCache, MemoryAssignments, MemoryCache, SqliteSpool

# --- creating a client ------------------------------------------------------------------------------------------------


def on_delivery(event_id: str, delivery: Delivery) -> None:
    if delivery.status == "delivered":
        assert_type(delivery.attempts, int)


destinations: list[Destination] = [
    Statsig(
        "secret-...", environment="production", rules=Rules(bootstrap=Path("rules.json"), cache=FileCache("folder"))
    ),
    Statsig("secret-...", environment={"tier": "staging"}, rules=None, name="events only"),
    Statsig("secret-...", rules=Rules(poll_interval=30, id_lists=True, cache=MemoryCache(), global_custom={"a": 1})),
    RudderStack("write-key", "https://plane.example.com", limits=Limits(max_events=50, linger=0.5), overflow="wait"),
    Amplitude("api-key", zone="EU", plan=Plan(branch="main"), ingestion_metadata=IngestionMetadata()),
]
client = Client(
    *destinations, on_delivery=on_delivery, drain_on_sigterm=True, exposures=False, start_timeout=2.0, close_timeout=2.0
)
Client(Statsig("secret-...", rules=Rules(assignments=FileAssignments("folder"))), spool="/var/lib/app/asyncsdk")
Client(Statsig("secret-...", rules=Rules(assignments=MemoryAssignments())), spool=SqliteSpool("/var/lib/app/asyncsdk"))

Client("secret-...")  # type: ignore[arg-type]
Client(overflow="drop")  # type: ignore[call-arg]
Client(enabled=False, on_invalid="report", properties={"app": "shop"}, context=lambda: {"region": "eu"})
Client(on_invalid="ignore")  # type: ignore[arg-type]
assert_type(Client.from_env(on_invalid="report", close_timeout=2), Client)
Client.from_env(overflow="drop")  # type: ignore[call-arg]
assert_type(client.add_event_defaults({"app": "shop"}, lambda: None), Client)
RudderStack("write-key", "https://plane.example.com", overflow="sometimes")  # type: ignore[arg-type]

ada = User(
    "ada-lovelace",
    email="ada@example.com",
    ip="192.0.2.1",
    custom={"plan": "pro", "seats": 3},
    custom_ids={"companyID": "c7"},
    private_attributes={"age": 36},
    anonymous_id="a-1",
)
User(7, country="NL", locale="nl-NL", app_version="1.2.3", user_agent="curl/8", device_id="d-1")
User("ada", "ada@example.com")  # type: ignore[call-arg]


async def life() -> None:
    assert_type(await client.start(require_ready=True), StartReport)
    assert_type(await client.wait_ready(timeout=2), bool)
    assert_type(await client.refresh_rules(timeout=2), bool)
    report = assert_type(await client.flush(timeout=2), Report)
    assert_type(report.destinations["Statsig"], DestinationReport)
    assert_type(await client.aclose(timeout=5), Report)
    health = assert_type(client.health(), Health)
    assert_type(health.destinations["Statsig"], DestinationHealth)
    assert_type(health.rules, RulesHealth | None)
    assert_type(health.spool, SpoolHealth | None)
    assert_type(health.engine, EngineHealth | None)
    assert_type(health.overrides, OverridesHealth | None)
    assert_type(health.assignments, AssignmentsHealth | None)
    assert_type(await client.load_assignments(ada), bool)
    async with client as entered:
        assert_type(entered, Client)


# --- lookups ----------------------------------------------------------------------------------------------------------


async def lookups() -> None:
    assert_type(await client.check_gate(ada, "new_checkout"), bool)
    assert_type(await client.check_gate("ada", "new_checkout", exposure=False), bool)
    gate = assert_type(await client.get_gate(7, "new_checkout"), FeatureGate)
    assert_type(gate.value, bool)
    assert_type(gate.details, Details)
    config = assert_type(await client.get_config(ada, "prices"), DynamicConfig)
    experiment = assert_type(await client.get_experiment(ada, "button"), Experiment)
    assert_type(experiment.group, str | None)
    assert_type(await client.get_layer(ada, "homepage"), Layer)
    assert_type(await client.get_parameter_store(ada, "store"), ParameterStore)
    everything = assert_type(await client.get_all(ada), AllResults)
    assert_type(everything.gates["new_checkout"].value, bool)
    names = assert_type(await client.get_names(), Names)
    assert_type(names.experiments, tuple[str, ...])
    groups = assert_type(await client.get_experiment_groups("button"), ExperimentGroups)
    assert_type(groups.groups[0], ExperimentGroup)
    assert_type(await client.get_experiment_by_group("button", "Test"), Experiment)
    assert_type(await client.get_experiment_by_group("button", rule_id="1a2b"), Experiment)
    getters(config)
    getters(experiment)
    getters(groups.groups[0])
    client.check_gate(ada, "new_checkout")  # type: ignore[unused-coroutine]
    await client.check_gate("new_checkout")  # type: ignore[call-arg]
    await client.check_gate(None, "new_checkout")  # type: ignore[arg-type]


def getters(found: DynamicConfig | Experiment | ExperimentGroup | Layer | ParameterStore) -> None:
    assert_type(found.get_string("name", "Teapot"), str)
    assert_type(found.get_string("name"), str | None)
    assert_type(found.get_number("price", 10.0), float)
    assert_type(found.get_number("price"), float | None)
    assert_type(found.get_bool("discount", False), bool)
    assert_type(found.get_array("tags", []), list[Any])
    assert_type(found.get_object("box"), dict[str, Any] | None)
    found.get_number("price", "ten").is_integer()  # type: ignore[union-attr]


def bound(flags: Flags) -> None:
    assert_type(client.bind(ada), Flags)
    assert_type(client.bind("ada").user, User)
    assert_type(client.bind("ada", properties={"app": "shop"}, context={"region": "eu"}), Flags)
    assert_type(flags.check_gate("new_checkout"), bool)
    assert_type(flags.get_gate("new_checkout"), FeatureGate)
    assert_type(flags.get_config("prices").get_number("lamp", 39.0), float)
    assert_type(flags.get_experiment("button").get_string("label", "Buy"), str)
    assert_type(flags.get_layer("homepage"), Layer)
    assert_type(flags.get_parameter_store("store"), ParameterStore)
    assert_type(flags.track("Checkout Opened", {"step": 1}, timestamp=datetime.now(UTC)), Receipt)
    assert_type(flags.accessed, dict[str, bool | str])


def about_rules() -> None:
    assert_type(client.explain(ada, "new_checkout"), Explanation)
    assert_type(client.explain(ada, "new_checkout").render(), str)
    assert_type(client.bootstrap(ada, hash="sha256"), bytes)
    client.bootstrap(ada, hash="md5")  # type: ignore[arg-type]
    client.bootstrap(ada, client_key="client-...", include_local_overrides=False)
    client.override_parameter_store("store", {"color": "green"}, user_id=7)
    client.override_gate("a", True, user_id="ada").override_config("b", {"c": 1}).override_layer("d", {})
    client.override_experiment("button", "Test").remove_override("a").remove_all_overrides()
    client.log_exposure(ada, "homepage", "title")

    def changed(change: RulesetChange) -> None: ...

    def checked(health: RulesHealth) -> None: ...

    def evaluated(user: User, result: LookupResult) -> None: ...

    def requested(request: RequestInfo) -> None: ...

    client.on_ruleset_change(changed).on_rules_health(checked).on_evaluation(evaluated).on_request(requested)
    assert_type(client.off(changed).off(evaluated), Client)
    client.off("changed")  # type: ignore[arg-type]


# --- events -----------------------------------------------------------------------------------------------------------


async def events() -> None:
    receipt = assert_type(await client.track(ada, "Item Viewed", {"revenue": 19.95}), Receipt)
    assert_type(await receipt, dict[str, Delivery])
    assert_type(receipt.event_id, str)
    assert_type(receipt.explain(), str)
    assert_type(receipt.deliveries, Mapping[str, Delivery | None])
    await client.track(ada, Revenue(4.99, quantity=3, product_id="lamp"))
    await client.identify(ada, {"plan": "pro"})
    await client.identify("ada", Identify().set("plan", "pro").add("visits", 1).unset("trial"))
    await client.page(ada, "Pizza", {"url": "https://example.com"}, category="Food")
    await client.screen(ada, "Home")
    await client.group(ada, "1", {"name": "Company"}, group_type="company")
    await client.alias("old-id", ada)
    await client.log_event(ada, "add_to_cart", 19.99, {"sku": "A"})
    await client.log_event({"event_type": "Sign Up", "user_id": "ada"})
    await client.track(
        "ada",
        "Item Viewed",
        context={"app": {"name": "shop"}},
        timestamp=datetime.now(UTC),
        integrations={"All": False, "Amplitude": {"session_id": 1}},
        message_id="my-own",
        extra={"internal": True},
    )
    await client.track("ada")  # type: ignore[call-arg]
    await client.track("ada", "a", timestamp="today")  # type: ignore[arg-type]
    await client.track("ada", "a", colour="green")  # type: ignore[call-arg]
    await client.page("ada", "a", None, "Food")  # type: ignore[arg-type]
    await client.group(ada, ["c7", 8], group_type="company")


def without_waiting() -> None:
    several: list[Event] = [
        Track("ada", "Item Viewed", {"sku": "A"}, message_id="my-own"),
        IdentifyEvent(ada, Identify().set("plan", "pro")),
        Page(ada, "Home", category="Shop"),
        Screen(ada, "Home"),
        Group(ada, 1, {"name": "Company"}),
        Alias("old-id", ada),
        LogEvent(ada, "add_to_cart", 19.99),
        RawEvent({"event_type": "Sign Up", "user_id": "ada"}),
    ]
    for event in several:
        assert_type(client.put_nowait(event), Receipt)
    client.put_nowait("Item Viewed")  # type: ignore[arg-type]


# --- middleware -------------------------------------------------------------------------------------------------------


async def stamp(payload: Payload, next: Next) -> None:
    if isinstance(payload.event, Track):
        await next(attrs.evolve(payload, event=attrs.evolve(payload.event, name="renamed")))


def count(payload: Payload, next: Next) -> Awaitable[None] | None:
    return next(payload) if not payload.extra.get("internal") else None


several_middlewares: list[Middleware] = [
    stamp,
    count,
    redact("password"),
    sample(0.1, salt="a"),
    map_events(lambda event: event),
]
client.add_middleware(stamp).add_middleware(count).add_middleware(redact("password", replacement="-"))
client.add_middleware(lambda payload: None)  # type: ignore[misc,arg-type]


# --- errors -----------------------------------------------------------------------------------------------------------


async def mistakes() -> None:
    try:
        await client.track("", "a")
    except (InvalidEventError, QueueFullError, ClientClosedError, WrongEventLoopError, ForkedProcessError) as error:
        assert_type(str(error), str)
    except (StartError, ConfigurationError, TransactionError) as error:
        raise AsyncSDKError from error


async def local() -> None:
    async with DevServer(port=4010) as dev:
        dev.script("rudderstack", 503, Fault(delay=0.1))
        [event] = await dev.received("rudderstack", 1)
        assert_type(event.name, str)


# --- types for your own functions -------------------------------------------------------------------------------------


def service(spool: SpoolLike = None) -> Client:
    return Client(Statsig("secret-..."), spool=spool)


async def is_new_checkout(user: UserLike) -> bool:
    return await client.check_gate(user, "new_checkout")


@dataclass
class Item:
    sku: str


async def models() -> None:
    await client.track("u", "Item Viewed", Item("a"))
    await client.identify("u", Item("a"))
    await client.track("u", "Item Viewed", 5)  # type: ignore[arg-type]


@dataclass
class ItemViewed:
    sku: str


@attrs.frozen
class OrderCompleted:
    event_name: ClassVar[str] = "Order Completed"
    sku: str
    revenue: float = 0.0


async def event_objects(flags: Flags) -> None:
    assert_type(await client.track("u", OrderCompleted("a", revenue=19.95)), Receipt)
    await client.track(ada, ItemViewed("a"), {"page": 2}, message_id="my-own")
    await client.log_event(ada, OrderCompleted("a"), 19.95)
    assert_type(flags.track(ItemViewed("a")), Receipt)
    flags.track(Revenue(4.99))
    client.put_nowait(Track("u", OrderCompleted("a")))
    client.put_nowait(LogEvent("u", ItemViewed("a"), 1))
    await client.track("u", OrderCompleted(skus="a"))  # type: ignore[call-arg]
    await client.track("u", 5)  # type: ignore[arg-type]


async def of_my_service(event: str | EventObject, **options: Unpack[EventOptions]) -> None:
    await client.track(ada, event, **options)


def behind_a_proxy() -> Client:
    return Client(
        Statsig("secret-...", http=HttpSettings(trust_env=True)), http=HttpSettings(proxy="http://proxy:3128")
    )
