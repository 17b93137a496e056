"""Sticky assignments: a user stays in the group that was assigned first."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers import ADA, rule, ruleset, spec
from helpers import statsig_with_rules as statsig

from asyncsdk import Client, ConfigurationError, Rules, User, WrongEventLoopError
from asyncsdk._lookups import assignments as limits
from asyncsdk._rules.loading import load_now
from asyncsdk.dev import DevServer
from asyncsdk.stores import AssignmentStore, FileAssignments, MemoryAssignments

COMPANY = User("bob", custom_ids={"companyID": "c-7"})
KEY = "ada-lovelace:userID"


class FaultyStore:
    """A store that works, fails, hangs, or hangs and ignores cancellation, as `loads` and `saves` say."""

    def __init__(self) -> None:
        self.entries = MemoryAssignments()
        self.loads = self.saves = "works"
        self.saved: list[tuple[str, str]] = []
        self.began, self.go_on = asyncio.Event(), asyncio.Event()

    async def load(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        await self._behave(self.loads)
        return await self.entries.load(key)

    async def save(self, key: str, name: str, assignment: Mapping[str, Any] | None) -> None:
        await self._behave(self.saves)
        self.saved.append((key, name))
        await self.entries.save(key, name, assignment)

    async def _behave(self, mode: str) -> None:
        if mode == "fails":
            raise ConnectionError
        if mode == "hangs":
            self.began.set()
            await self.go_on.wait()
        while mode == "ignores cancellation" and not self.go_on.is_set():
            self.began.set()
            with suppress(asyncio.CancelledError):
                await self.go_on.wait()


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


def rules(color: str = "green", group: str = "Test", **experiment: Any) -> bytes:
    """The usual rules, with another experiment."""
    given = rule(color, {"color": color, "size": 2}, "everybody", groupName=group, isExperimentGroup=True)
    settings = {"isActive": True, "explicitParameters": ["color"], **experiment}
    button = spec("experiment", {"color": "grey"}, given, **settings)
    company = spec("experiment", {}, given, isActive=True, idType="companyID")
    page = spec("layer", {"color": "grey"}, rule("to button", {}, "everybody", configDelegate="button"))
    return ruleset(dynamic_configs={"button": button, "company": company}, layer_configs={"page": page})


def client_with(store: AssignmentStore | None, body: bytes | None = None, **settings: Any) -> Client:
    source = Rules(bootstrap=body or rules(), specs_url="http://127.0.0.1:9/v2/none", assignments=store, **settings)
    return Client(statsig(offline=True, rules=source))


def use(client: Client, body: bytes) -> None:
    """Replace the client's rules."""
    found = load_now(body, client._holder.rules.shared_context)
    assert found is not None
    client._holder.rules = found


@pytest.fixture
async def client(store: FaultyStore) -> AsyncIterator[Client]:
    client = client_with(store)
    await client.start()
    yield client
    await client.aclose(timeout=0.3)


async def test_a_user_keeps_the_group_that_was_assigned_first(client: Client, store: FaultyStore) -> None:
    assert await client.load_assignments(ADA)
    assert (await client.get_experiment(ADA, "button")).group == "Test"
    await client.flush()
    use(client, rules("blue", "Other"))

    kept, other = await client.get_experiment(ADA, "button"), await client.get_experiment("bob", "button")

    assert (kept.group, kept.get_string("color"), kept.rule_id, kept.details.reason) == (
        "Test",
        "green",
        "green",
        "Persisted",
    )
    assert other.group == "Other"
    assert store.saved == [(KEY, "button")]


async def test_a_new_process_knows_the_group_as_well(tmp_path: Path) -> None:
    for body, reason in ((rules(), "Bootstrap:Recognized"), (rules("blue", "Other"), "Persisted")):
        async with client_with(FileAssignments(tmp_path), body) as client:
            await client.load_assignments("ada")
            experiment = await client.get_experiment("ada", "button")
            assert (experiment.group, experiment.details.reason) == ("Test", reason)


async def test_layers_stores_and_flags_use_assignments_too(client: Client, store: FaultyStore) -> None:
    await client.load_assignments(ADA)
    flags = client.bind(ADA)
    assert (flags.get_experiment("button").group, flags.get_layer("page").group) == ("Test", "Test")
    use(client, rules("blue", "Other"))

    later = client.bind(User("ada-lovelace"))

    assert (later.get_experiment("button").group, later.get_layer("page").get_string("color")) == ("Test", "green")
    assert later.get_parameter_store("store").get_string("color") == "green"
    assert client.explain(ADA, "button").evaluation.group_name == "Test"
    assert "sticky assignment applies: Test" in client.explain(ADA, "button").render()
    await client.flush()
    assert sorted(store.saved) == [(KEY, "button"), (KEY, "page")]


async def test_each_unit_has_its_own_assignments(client: Client, store: FaultyStore) -> None:
    await client.load_assignments(COMPANY)
    await client.get_experiment(COMPANY, "company")
    await client.get_experiment(COMPANY, "button")
    await client.flush()

    assert sorted(store.saved) == [("bob:userID", "button"), ("c-7:companyID", "company")]


async def test_entries_of_the_store_have_statsigs_format(client: Client, store: FaultyStore) -> None:
    await client.load_assignments(ADA)
    await client.get_experiment(ADA, "button")
    await client.flush()

    assert await store.entries.load(KEY) == {
        "button": {
            "value": True,
            "json_value": {"color": "green", "size": 2},
            "rule_id": "green",
            "group_name": "Test",
            "secondary_exposures": [],
            "undelegated_secondary_exposures": [],
            "config_delegate": None,
            "explicit_parameters": ["color"],
            "time": 1000,
            "config_version": 3,
        }
    }


async def test_a_user_that_is_not_loaded_is_not_sticky_and_keeps_its_entries(
    client: Client, store: FaultyStore
) -> None:
    await store.entries.save(KEY, "button", {"json_value": {}, "group_name": "Old"})

    assert (await client.get_experiment(ADA, "button")).group == "Test"
    use(client, rules(isActive=False))
    assert (await client.get_experiment(ADA, "button")).group == "Test"
    await client.flush()

    assert store.saved == []


async def test_an_experiment_that_has_ended_releases_its_users(client: Client, store: FaultyStore) -> None:
    await store.entries.save(KEY, "button", {"json_value": {}, "group_name": "Old"})
    await client.load_assignments(ADA)
    assert (await client.get_experiment(ADA, "button")).group == "Old"
    use(client, rules(isActive=False))

    for _ in range(2):
        assert (await client.get_experiment(ADA, "button")).group == "Test"
    await client.flush()

    assert store.saved == [(KEY, "button")]
    assert await store.entries.load(KEY) == {}


@pytest.mark.parametrize(("enforced", "color"), [(True, "gold"), (False, "green")])
async def test_an_override_rule_can_be_enforced(store: FaultyStore, enforced: bool, color: str) -> None:
    override = rule("x:id_override", {"color": "gold"}, "everybody", groupName="Staff")
    after = ruleset(dynamic_configs={"button": spec("experiment", {}, override, isActive=True)})
    async with client_with(store, enforce_overrides=enforced, enforce_targeting=True) as client:
        await client.load_assignments(ADA)
        await client.get_experiment(ADA, "button")
        use(client, after)

        assert (await client.get_experiment(ADA, "button")).get_string("color") == color


async def test_watchers_get_the_assigned_result(client: Client) -> None:
    seen: list[Any] = []
    client.on_evaluation(lambda _, answer: seen.append(answer))
    await client.load_assignments(ADA)
    await client.get_experiment(ADA, "button")
    use(client, rules("blue", "Other"))
    await client.get_experiment(ADA, "button")

    assert [answer.details.reason for answer in seen] == ["Bootstrap:Recognized", "Persisted"]


async def test_an_assigned_result_is_exposed_as_it_was_saved(store: FaultyStore) -> None:
    kept = {
        "value": True,
        "json_value": {"color": "gold"},
        "rule_id": "old",
        "group_name": "Old",
        "secondary_exposures": [{"gate": "open", "gateValue": "true", "ruleID": "all"}],
        "undelegated_secondary_exposures": [],
        "config_delegate": "button",
        "explicit_parameters": ["color"],
        "config_version": 9,
    }
    for name in ("button", "page"):
        await store.entries.save(KEY, name, kept)
    async with DevServer() as server:
        source = Rules(bootstrap=rules(), specs_url="http://127.0.0.1:9/v2/none", assignments=store)
        async with Client(statsig(server, rules=source)) as client:
            await client.load_assignments(ADA)
            await client.get_experiment(ADA, "button")
            (await client.get_layer(ADA, "page")).get("color")
        experiment, parameter = (event.body for event in server.accepted("statsig"))

    common = {"ruleID": "old", "reason": "Persisted", "configVersion": "9"}
    assert experiment["metadata"].items() >= {"config": "button", "rulePassed": "true", **common}.items()
    assert experiment["secondaryExposures"] == parameter["secondaryExposures"] == kept["secondary_exposures"]
    assert parameter["metadata"].items() >= {
        "config": "page", "allocatedExperiment": "button", "parameterName": "color", "isExplicitParameter": "true", **common
    }.items()  # fmt: skip


async def test_lookups_in_another_thread_assign_too(client: Client, store: FaultyStore) -> None:
    await client.load_assignments(ADA)
    await asyncio.to_thread(lambda: client.bind(ADA).get_experiment("button"))
    await asyncio.sleep(0)  # the call that the thread left runs first
    await client.flush()

    assert store.saved == [(KEY, "button")]


async def test_a_change_that_a_blocked_loop_has_no_room_for_is_counted(client: Client, store: FaultyStore) -> None:
    await client.load_assignments(ADA)

    def from_thread() -> None:
        for _ in range(10_000):
            client._life.call_soon(int)
        client.bind(ADA).get_experiment("button")

    thread = threading.Thread(target=from_thread)
    thread.start()
    thread.join()  # this blocks the loop

    health = client.health().assignments
    assert health is not None
    assert (health.unsaved, health.lost) == (0, 1)


async def test_a_load_includes_unsaved_changes(client: Client, store: FaultyStore) -> None:
    store.saves = "hangs"
    await store.entries.save(KEY, "company", {"json_value": {}})
    await client.load_assignments(ADA)
    await client.get_experiment(ADA, "button")
    await client.load_assignments(ADA)
    use(client, rules("blue", "Other"))

    assert (await client.get_experiment(ADA, "button")).group == "Test"


@pytest.mark.parametrize("turns", range(6))
async def test_a_load_keeps_what_another_thread_changed_meanwhile(
    client: Client, store: FaultyStore, turns: int
) -> None:
    await client.load_assignments(ADA)
    store.loads = "hangs"
    loading = asyncio.create_task(client.load_assignments(ADA))
    await store.began.wait()
    store.go_on.set()
    for _ in range(turns):  # in one of them, the load ends before the call that the thread leaves
        await asyncio.sleep(0)

    thread = threading.Thread(target=lambda: client.bind(ADA).get_experiment("button"))
    thread.start()
    thread.join()
    await loading
    use(client, rules("blue", "Other"))

    assert (await client.get_experiment(ADA, "button")).group == "Test"


async def test_a_load_keeps_what_was_changed_and_saved_during_it(client: Client, store: FaultyStore) -> None:
    await client.load_assignments(ADA)
    answer = await store.entries.load(KEY)
    began, go_on = asyncio.Event(), asyncio.Event()

    async def late(_: str) -> Mapping[str, Mapping[str, Any]]:
        began.set()
        await go_on.wait()
        return answer

    store.load = late  # type: ignore[method-assign]
    loading = asyncio.create_task(client.load_assignments(ADA))
    await began.wait()
    await client.get_experiment(ADA, "button")
    await client.flush()
    go_on.set()
    await loading
    use(client, rules("blue", "Other"))

    assert (await client.get_experiment(ADA, "button")).group == "Test"


# --- failures -----------------------------------------------------------------------------------------------------


async def test_a_store_that_cannot_be_read_only_disables_stickiness(
    client: Client, store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.loads = "fails"
    for _ in range(3):
        assert not await client.load_assignments(ADA)
        assert (await client.get_experiment(ADA, "button")).group == "Test"
    health = client.health().assignments
    assert health is not None
    assert (health.units, health.failures, health.last_error) == (0, 6, "ConnectionError")

    store.loads = "works"
    assert await client.load_assignments(ADA)

    assert [record.getMessage().split(":")[0] for record in caplog.records if record.levelno == logging.WARNING] == [
        "loading sticky assignments"
    ]
    assert client.health().assignments == limits.AssignmentsHealth(units=2, failures=6)


async def test_a_store_that_hangs_does_not_block_a_request(client: Client, store: FaultyStore) -> None:
    store.loads = "hangs"
    began = asyncio.get_running_loop().time()

    assert not await client.load_assignments(ADA)

    assert asyncio.get_running_loop().time() - began < 2


async def test_a_failed_save_is_retried(client: Client, store: FaultyStore, caplog: pytest.LogCaptureFixture) -> None:
    store.saves = "fails"
    users = [f"user-{number}" for number in range(20)]
    for user in users:
        await client.load_assignments(user)
        await client.get_experiment(user, "button")
    await client.flush(timeout=0.05)
    health = client.health().assignments
    assert health is not None
    assert (health.unsaved, health.lost, health.last_error) == (20, 0, "ConnectionError")

    store.saves = "works"
    await client.flush()

    assert sorted(key for key, _ in store.saved) == sorted(f"{user}:userID" for user in users)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert client.health().assignments == limits.AssignmentsHealth(units=20, failures=health.failures)


async def test_a_change_made_during_a_save_is_saved_afterwards(client: Client, store: FaultyStore) -> None:
    store.saves = "hangs"
    await client.load_assignments(ADA)
    await client.get_experiment(ADA, "button")
    await store.began.wait()
    use(client, rules(isActive=False))
    await client.get_experiment(ADA, "button")
    store.go_on.set()
    await client.flush()

    assert store.saved == [(KEY, "button")] * 2
    assert await store.entries.load(KEY) == {}


async def test_closing_saves_unsaved_changes(store: FaultyStore) -> None:
    async with client_with(store) as client:
        await client.load_assignments(ADA)
        await client.get_experiment(ADA, "button")

    assert store.saved == [(KEY, "button")]


async def test_closing_ends_in_time_when_the_store_hangs(store: FaultyStore, caplog: pytest.LogCaptureFixture) -> None:
    store.saves = "hangs"
    client = client_with(store)
    await client.start()
    await client.load_assignments(ADA)
    await client.get_experiment(ADA, "button")
    await client.aclose(timeout=0.3)

    assert "1 changes not saved" in caplog.text
    assert client.health().assignments == limits.AssignmentsHealth(units=2, lost=1)


async def test_closing_ends_in_time_when_the_store_ignores_cancellation(store: FaultyStore) -> None:
    client, store.saves = client_with(store), "ignores cancellation"
    await client.start()
    await client.load_assignments(ADA)
    await client.get_experiment(ADA, "button")
    await store.began.wait()

    began = time.monotonic()
    report = await client.aclose(timeout=0.2)

    took, health = time.monotonic() - began, client.health().assignments
    store.go_on.set()
    assert took < 0.5
    assert report.complete
    assert health is not None
    assert (health.unsaved, health.lost) == (0, 1)


async def test_before_the_start_and_after_the_close_nothing_is_assigned(store: FaultyStore) -> None:
    client = client_with(store)
    await client.load_assignments(ADA)
    await client.get_experiment(ADA, "button")
    async with client:
        assert (await client.get_experiment(ADA, "button")).details.reason == "Bootstrap:Recognized"
    use(client, rules("blue", "Other"))

    assert (await client.get_experiment(ADA, "button")).group == "Test"
    assert (await client.get_layer(ADA, "page")).group == "Other"
    assert store.saved == [(KEY, "button")]


async def test_a_change_after_the_close_is_counted_as_lost(client: Client) -> None:
    await client.load_assignments(ADA)
    assignments = client._assignments
    assert assignments is not None
    await client.aclose()
    assignments._enqueue(KEY, "button", {})

    assert assignments.health().lost == 1


async def test_loaded_units_and_unsaved_changes_are_bounded(
    client: Client, store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.saves = "hangs"
    assignments = client._assignments
    assert assignments is not None
    for number in range(limits.MAX_UNSAVED + 2):
        assignments._enqueue(f"{number}:userID", "button", {})
    for number in range(limits.MAX_UNITS + 2):
        await assignments._load(f"{number}:userID")

    health = assignments.health()
    assert (health.units, health.unsaved, health.lost) == (limits.MAX_UNITS, limits.MAX_UNSAVED, 2)
    assert caplog.text.count("too many") == 1


async def test_without_a_store_nothing_is_loaded() -> None:
    async with client_with(None) as client:
        assert not await client.load_assignments(ADA)
        assert client.health().assignments is None
    assert not await Client().load_assignments(ADA)


def test_another_event_loop_is_rejected(store: FaultyStore) -> None:
    client = client_with(store)
    with asyncio.Runner() as runner:
        runner.run(client.start())
        with pytest.raises(WrongEventLoopError):
            asyncio.run(client.load_assignments(ADA))
        runner.run(client.aclose())


@pytest.mark.parametrize("wrong", ["/var/lib", MemoryAssignments, object()])
def test_the_methods_of_a_store_are_checked(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="FileAssignments"):
        Rules(assignments=wrong)
    with pytest.raises(ConfigurationError, match="FileCache"):
        Rules(cache=wrong)
