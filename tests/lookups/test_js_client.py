"""Statsig's published browser SDK, started from `bootstrap`, reads the values that the server's lookups return."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from helpers import ADA, rule, ruleset, spec
from helpers import statsig_with_rules as statsig

from asyncsdk import Client, Rules, User
from asyncsdk.stores import MemoryAssignments

pytestmark = [pytest.mark.oracle, pytest.mark.process, pytest.mark.timeout(300)]

PROGRAM = """
const { StatsigClient } = require('@statsig/js-client');
const { user, body, names } = JSON.parse(require('fs').readFileSync(0));
const network = { preventAllNetworkTraffic: true };
const client = new StatsigClient('client-key', user, { networkConfig: network, disableStorage: true, logLevel: 0 });
client.dataAdapter.setData(body);
client.initializeSync({ disableBackgroundCacheRefresh: true });
const off = { disableExposureLog: true };
const seen = names.map((name) => {
  const gate = client.getFeatureGate(name, off), experiment = client.getExperiment(name, off);
  const layer = client.getLayer(name, off), store = client.getParameterStore(name, off);
  return [name, {
    gate: gate.value, gateReason: gate.details.reason, value: experiment.value, rule: experiment.ruleID,
    group: experiment.groupName, layer: layer.__value, color: store.get('color', 'none'), size: store.get('size', 0),
  }];
});
console.log(JSON.stringify(Object.fromEntries(seen)));
process.exit(0);
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


def browser(folder: Path, user: User, body: bytes) -> dict[str, Any]:
    """Return what the browser SDK reads from a response, by name.

    It finds values only for a user with the ids that the response names, the `stableID` among them.
    """
    ids = {**(user.custom_ids or {}), "stableID": user.unit_id("stableID")}
    ids = {key: one for key, one in ids.items() if one}
    given = {"userID": user.user_id, "customIDs": ids, "email": user.email, "country": user.country}
    wanted = {"user": {key: one for key, one in given.items() if one}, "body": body.decode(), "names": NAMES}
    node = shutil.which("node") or "node"
    done = subprocess.run(
        [node, "-e", PROGRAM], cwd=folder, input=json.dumps(wanted).encode(), capture_output=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


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
        seen = browser(node_modules, user, client.bootstrap(user, hash=hash_name))
        flags = client.bind(user)
        for name in NAMES:
            stored = flags.get_parameter_store(name)
            is_experiment = "experiment" in flags.kinds_of(name)
            found = flags.get_experiment(name) if is_experiment else flags.get_config(name)
            assert seen[name]["gate"] == flags.check_gate(name)
            assert (seen[name]["value"], seen[name]["rule"]) == (found.value, found.rule_id)
            assert seen[name]["layer"] == flags.get_layer(name).value
            assert [seen[name]["color"], seen[name]["size"]] == [stored.get("color", "none"), stored.get("size", 0)]
        assert seen["button"]["group"] == flags.get_experiment("button").group

    assert seen["dutch"]["gateReason"].startswith("Bootstrap")
