"""Statsig's published browser SDK, started from `bootstrap`, reads the values that the server's lookups return."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from helpers import ADA, rule, ruleset, spec
from helpers import statsig_with_rules as statsig

from asyncsdk import Client, Flags, Rules, User
from asyncsdk.stores import MemoryAssignments

pytestmark = [pytest.mark.oracle, pytest.mark.process, pytest.mark.timeout(300)]

PROGRAM = """
const { StatsigClient } = require('@statsig/js-client');
const { bodies, names } = JSON.parse(require('fs').readFileSync(0));
const options = {
  networkConfig: { preventAllNetworkTraffic: true }, disableStorage: true, includeCurrentPageUrlWithEvents: false,
  logLevel: 0,
};
const off = { disableExposureLog: true };
const read = (body) => {
  const client = new StatsigClient('client-key', JSON.parse(body).user, options);
  client.dataAdapter.setData(body);
  client.initializeSync({ disableBackgroundCacheRefresh: true });
  return Object.fromEntries(names.map((name) => {
    const gate = client.getFeatureGate(name, off), experiment = client.getExperiment(name, off);
    const layer = client.getLayer(name, off), store = client.getParameterStore(name, off);
    return [name, {
      gate: gate.value, gateReason: gate.details.reason, value: experiment.value, rule: experiment.ruleID,
      group: experiment.groupName, layer: layer.__value, color: store.get('color', 'none'), size: store.get('size', 0),
    }];
  }));
};
process.stdout.write(JSON.stringify(bodies.map(read)), () => process.exit(0));
"""
NAMES = ["open", "dutch", "nested", "new", "prices", "button", "page", "store", "own"]
BODY = ruleset(
    dynamic_configs={
        "prices": spec("dynamic_config", {"price": 1}, rule("nl", {"price": 9}, "in NL")),
        "button": spec(
            "experiment",
            {"color": "grey"},
            rule("green", {"color": "green"}, "everybody", groupName="Test", isExperimentGroup=True),
            isActive=True,
        ),
    }
)
BOB = User("bob", custom_ids={"companyID": "c7"})


def browser(folder: Path, *bodies: bytes) -> list[dict[str, Any]]:
    """Return what the browser SDK reads from each response, by name.

    One process reads them all. In each, the SDK starts with the user that the response names, as a page does.
    """
    wanted = {"bodies": [body.decode() for body in bodies], "names": NAMES}
    node = shutil.which("node") or "node"
    done = subprocess.run(
        [node, "-e", PROGRAM], cwd=folder, input=json.dumps(wanted).encode(), capture_output=True, check=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def compare(seen: dict[str, Any], flags: Flags) -> None:
    """Assert that a browser sees what the server's lookups return."""
    for name in NAMES:
        stored = flags.get_parameter_store(name)
        is_experiment = "experiment" in flags.kinds_of(name)
        found = flags.get_experiment(name) if is_experiment else flags.get_config(name)
        assert seen[name]["gate"] == flags.check_gate(name)
        assert (seen[name]["value"], seen[name]["rule"]) == (found.value, found.rule_id)
        assert seen[name]["layer"] == flags.get_layer(name).value
        assert [seen[name]["color"], seen[name]["size"]] == [stored.get("color", "none"), stored.get("size", 0)]
    assert seen["button"]["group"] == flags.get_experiment("button").group
    # Without a visitor's id, the browser makes one up, which the response cannot name.
    is_visitor = flags.user.unit_id("stableID")
    assert seen["dutch"]["gateReason"] == f"Bootstrap{'' if is_visitor else 'StableIDMismatch'}:Recognized"


@pytest.mark.parametrize("user", [ADA, BOB], ids=lambda one: one.user_id)
@pytest.mark.parametrize("hash_name", ["djb2", "none"])
@pytest.mark.parametrize("overridden", [False, True])
async def test_the_browser_reads_what_the_server_returns(
    node_modules: Path, user: User, hash_name: Any, overridden: bool
) -> None:
    store = MemoryAssignments()
    entry = {"json_value": {"color": "kept"}, "rule_id": "old", "group_name": "Old", "value": True}
    await store.save("bob:userID", "button", entry)
    await store.save("bob:userID", "page", {**entry, "config_delegate": "button"})
    async with Client(statsig(offline=True, rules=Rules(bootstrap=BODY, assignments=store))) as client:
        if overridden:
            client.override_gate("open", False).override_gate("new", True, user_id="c7")
            client.override_config("prices", {"price": 5}, user_id="bob").override_layer("page", {"color": "pink"})
            client.override_experiment("button", "Test").override_parameter_store("store", {"color": "x", "size": 2})
            client.override_parameter_store("own", {"size": 3})
        await client.load_assignments(user)
        [seen] = browser(node_modules, client.bootstrap(user, hash=hash_name))
        compare(seen, client.bind(user))


# --- users of every kind ------------------------------------------------------------------------------------------------

BIG = 800356270543470622  # beyond 2^53: as a number in JavaScript, it would be rounded


def split(id_type: str) -> bytes:
    """A ruleset whose gate, experiment and layer are split in halves by an id; another gate targets custom values."""
    halves = [
        rule("a", {"color": "green"}, "half", groupName="A", isExperimentGroup=True, idType=id_type),
        rule("b", {"color": "blue"}, "everybody", groupName="B", isExperimentGroup=True, idType=id_type),
    ]
    half = {"type": "user_bucket", "operator": "lt", "targetValue": 500, "additionalValues": {"salt": "s"}}
    targets = [str(UUID(int=1)), str(BIG), BIG, "2026-01-02"]
    return ruleset(
        condition_map={
            "everybody": {"type": "public"},
            "half": {**half, "idType": id_type},
            "x": {"type": "user_field", "operator": "any", "targetValue": targets, "field": "x"},
            "unit": {"type": "unit_id", "operator": "any", "targetValue": [str(BIG + 1), str(UUID(int=1))], "idType": id_type},
        },
        feature_gates={
            "open": spec("feature_gate", False, rule("half", True, "everybody", passPercentage=50, idType=id_type)),
            "dutch": spec("feature_gate", False, rule("x", True, "x")),
            "nested": spec("feature_gate", False, rule("unit", True, "unit")),
        },
        dynamic_configs={"button": spec("experiment", {"color": "grey"}, *halves, isActive=True, idType=id_type)},
    )  # fmt: skip


def numpy_number(n: int) -> Any:
    return pytest.importorskip("numpy").int64(BIG + n)


IDS: dict[str, Callable[[int], Any]] = {
    "text": lambda n: f"u-{n}",
    "UUID": lambda n: UUID(int=n),
    "beyond 2^53": lambda n: BIG + n,
    "negative": lambda n: -BIG - n,
    "beyond 2^64": lambda n: BIG**2 + n,
    "number of numpy": numpy_number,
    "surrogate": lambda n: f"caf\udce9-{n}",
}
USERS: dict[str, tuple[str, Callable[[Any], User]]] = {
    "user_id": ("userID", User),
    "anonymous_id": ("stableID", lambda unit: User(anonymous_id=unit)),
    "device_id": ("stableID", lambda unit: User("ada", device_id=unit, anonymous_id="a")),
    "stableID": ("stableID", lambda unit: User(device_id="d", custom_ids={"stableID": unit})),
    "companyID": ("companyID", lambda unit: User(custom_ids={"companyID": unit}, anonymous_id="a")),
    "custom": ("userID", lambda unit: User("ada", custom={"x": unit}, private_attributes={"y": unit})),
    "mapping": ("userID", lambda unit: User.of({"userID": unit, "customIDs": {"stableID": unit}})),
}


@pytest.mark.parametrize("field", USERS)
async def test_the_browser_is_in_the_groups_of_the_server_whatever_the_id_is(node_modules: Path, field: str) -> None:
    id_type, make = USERS[field]
    users = [make(kind(n)) for kind in IDS.values() for n in range(12)]
    async with Client(statsig(offline=True, rules=Rules(bootstrap=split(id_type)))) as client:
        seen = browser(node_modules, *(client.bootstrap(user) for user in users))
        for user, found in zip(users, seen, strict=True):
            compare(found, client.bind(user))

    groups = [{found["button"]["group"] for found in seen[at : at + 12]} for at in range(0, len(seen), 12)]
    assert field == "custom" or groups == [{"A", "B"}] * len(IDS)


@pytest.mark.parametrize("user", [User(anonymous_id="a-1"), User(device_id=BIG), User(UUID(int=1))], ids=repr)
async def test_the_browser_keeps_the_group_and_the_overrides_of_the_server(node_modules: Path, user: User) -> None:
    id_type = "userID" if user.user_id else "stableID"
    store = MemoryAssignments()
    entry = {"json_value": {"color": "kept"}, "rule_id": "old", "group_name": "Old", "value": True}
    await store.save(f"{user.unit_id(id_type)}:{id_type}", "button", entry)
    rules = Rules(bootstrap=split(id_type), assignments=store)
    async with Client(statsig(offline=True, rules=rules)) as client:
        client.override_gate("new", True, user_id=user.unit_id(id_type)).override_layer("page", {"color": "pink"})
        await client.load_assignments(user)
        [seen] = browser(node_modules, client.bootstrap(user))
        compare(seen, client.bind(user))

    assert (seen["button"]["group"], seen["new"]["gate"], seen["page"]["layer"]) == ("Old", True, {"color": "pink"})
