"""Threads resolve and track while the client's loop refreshes its rules, as in Flask and in FastAPI's `def` handlers."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from helpers import rule
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.track import TrackingEventDetails

from asyncsdk.dev import DevServer
from asyncsdk.integrations.openfeature import AsyncSDKProvider
from integrations.openfeature.providers import config, fast_polling_client, gate, ruleset, statsig

THREADS, USERS = 8, 40
ROUNDS = 5


def rules_of(number: int) -> bytes:
    """Build rules whose gate is open for all users, and whose config contains its own version."""
    value = {"version": number, "twice": 2 * number}
    return ruleset(
        1000 + number,
        feature_gates={"open": gate(rule("all", True, "everybody"))},
        dynamic_configs={"prices": config({}, rule("all", value, "everybody"))},
    )


def use(flags: OpenFeatureClient, user: str) -> list[FlagEvaluationDetails[object]]:
    """Resolve and track as a request handler does, and return the resolved details."""
    context = EvaluationContext(user, {"seat": user})
    found: list[FlagEvaluationDetails[object]] = []
    for number in range(ROUNDS):
        assert flags.get_boolean_value("open", False, context)
        details = flags.get_object_details("prices", {}, context)
        version = int(details.flag_metadata["rulesetTime"]) - 1000
        assert details.value == {"version": version, "twice": 2 * version}
        flags.track("seen", context, TrackingEventDetails(number, {"seat": user}))
        found.append(details)
    return found


async def test_threads_see_whole_rules_and_lose_nothing(
    server: DevServer, provide: Callable[[AsyncSDKProvider], OpenFeatureClient]
) -> None:
    server.set_ruleset(rules_of(1))
    users = [f"user-{number}" for number in range(USERS)]
    async with fast_polling_client(statsig(server)) as client:
        flags, loop = provide(AsyncSDKProvider(client)), asyncio.get_running_loop()
        with ThreadPoolExecutor(THREADS) as pool:
            working = [loop.run_in_executor(pool, use, flags, user) for user in users]
            for number in range(2, 12):
                server.set_ruleset(rules_of(number))
                await asyncio.sleep(0.01)
            found = await asyncio.gather(*working)
        report = (await client.flush()).destinations["Statsig"]

    assert {details.reason for of_user in found for details in of_user} == {"STATIC"}
    assert (report.accepted, report.delivered, report.lost) == (USERS * ROUNDS, USERS * ROUNDS, 0)
    tracked = [event for event in server.accepted("statsig") if event.name == "seen"]
    assert Counter(event.user for event in tracked) == dict.fromkeys(users, ROUNDS)
    assert all(event.body["metadata"]["seat"] == event.user == event.body["user"]["custom"]["seat"] for event in tracked)  # fmt: skip
    gates = Counter(event.user for event in server.accepted("statsig") if event.kind == "gate_exposure")
    assert gates.keys() == set(users)
