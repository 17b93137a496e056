"""The vendors' published SDKs download their rules from the dev server, and all evaluate the same."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from asyncsdk.dev import DevServer
from asyncsdk.dev.ruleset_formats import as_v1
from asyncsdk.examples import aiohttp_shop
from dev.vendor_sdks import run, run_python

pytestmark = [pytest.mark.oracle, pytest.mark.process, pytest.mark.timeout(240)]

RULES = Path(aiohttp_shop.__file__).with_name("shop_ruleset.json")

ADA = {"userID": "ada", "email": "ada@shop.example", "appVersion": "2.1.0", "country": "NL"}
DAN = {"userID": "dan", "email": "dan@example.com", "appVersion": "1.9", "ip": "8.8.8.8"}
GATES = ("free_shipping", "staff_tools", "new_basket", "early_access", "sale", "express_checkout")
EXPECTED = [
    {
        "gates": [True, True, True, True, True, False],
        "teapot": 15.95,
        "button": "green",
        "group": "Test",
        "title": "The shop",
    },
    {
        "gates": [False, False, False, False, False, True],
        "teapot": 19.95,
        "button": "blue",
        "group": "Control",
        "title": "Good to see you",
    },
]

CORE = """
import json, sys
from statsig_python_core import Statsig, StatsigOptions, StatsigUser

url, users, gates = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
names = {"userID": "user_id", "appVersion": "app_version"}
options = StatsigOptions()
options.specs_url = url + "/v2/download_config_specs"
options.id_lists_url = url + "/v1/get_id_lists/secret-1.json"
options.log_event_url = url + "/v1/log_event"
options.enable_id_lists = True
options.wait_for_country_lookup_init = True
options.output_log_level = "none"
statsig = Statsig("secret-1", options)
statsig.initialize().wait()
answers = []
for fields in users:
    user = StatsigUser(**{names.get(key, key): value for key, value in fields.items()})
    button = statsig.get_experiment(user, "button")
    answers.append({
        "gates": [statsig.check_gate(user, name) for name in gates],
        "teapot": statsig.get_dynamic_config(user, "prices").get_float("teapot", 0.0),
        "button": button.get_string("color", ""),
        "group": button.group_name,
        "title": statsig.get_layer(user, "homepage").get_string("title", ""),
    })
response = statsig.get_client_initialize_response(user, hash="none")
statsig.shutdown().wait()
print(json.dumps([answers, json.loads(response)]))
"""

LEGACY = """
import json, sys
from statsig import StatsigOptions, StatsigUser, statsig

api, users, gates = sys.argv[1] + "/v1/", json.loads(sys.argv[2]), json.loads(sys.argv[3])
names = {"userID": "user_id", "appVersion": "app_version"}
statsig.initialize("secret-1", StatsigOptions(
    api, api_for_download_config_specs=api, api_for_get_id_lists=api, api_for_log_event=api
))
answers = []
for fields in users:
    user = StatsigUser(**{names.get(key, key): value for key, value in fields.items()})
    button = statsig.get_experiment(user, "button")
    answers.append({
        "gates": [statsig.check_gate(user, name) for name in gates],
        "teapot": statsig.get_config(user, "prices").get("teapot", 0.0),
        "button": button.get("color", ""),
        "group": button.group_name,
        "title": statsig.get_layer(user, "homepage").get("title", ""),
    })
statsig.shutdown()
print(json.dumps([answers]))
"""

NODE_CORE = """
const {Statsig, StatsigUser} = require("@statsig/statsig-node-core");
const [url, users, gates] = process.argv.slice(1);
(async () => {
  const statsig = new Statsig("secret-1", {
    specsUrl: url + "/v2/download_config_specs",
    idListsUrl: url + "/v1/get_id_lists/secret-1.json",
    logEventUrl: url + "/v1/log_event",
    enableIdLists: true,
    waitForCountryLookupInit: true,
    outputLogLevel: "none",
  });
  await statsig.initialize();
  const answers = JSON.parse(users).map((fields) => {
    const user = new StatsigUser(fields);
    const button = statsig.getExperiment(user, "button");
    return {
      gates: JSON.parse(gates).map((name) => statsig.checkGate(user, name)),
      teapot: statsig.getDynamicConfig(user, "prices").get("teapot", 0),
      button: button.get("color", ""),
      group: button.groupName,
      title: statsig.getLayer(user, "homepage").get("title", ""),
    };
  });
  await statsig.shutdown();
  console.log(JSON.stringify([answers]));
  process.exit(0);
})();
"""

NODE = """
const statsig = require("statsig-node").default;
const [url, users, gates] = process.argv.slice(1);
(async () => {
  await statsig.initialize("secret-1", {
    api: url + "/v1", apiForDownloadConfigSpecs: url + "/v1", apiForGetIdLists: url + "/v1",
    initStrategyForIP3Country: "await", initStrategyForIDLists: "await",
  });
  const answers = JSON.parse(users).map((user) => {
    const button = statsig.getExperimentSync(user, "button");
    return {
      gates: JSON.parse(gates).map((name) => statsig.checkGateSync(user, name)),
      teapot: statsig.getConfigSync(user, "prices").get("teapot", 0),
      button: button.get("color", ""),
      group: button.getGroupName(),
      title: statsig.getLayerSync(user, "homepage").get("title", ""),
    };
  });
  await statsig.shutdownAsync();
  console.log(JSON.stringify([answers]));
  process.exit(0);
})();
"""

ARGUMENTS = [orjson.dumps(value).decode() for value in ([ADA, DAN], GATES)]


@pytest.fixture(params=["v1", "v2"])
def server_with_rules(server: DevServer, request: pytest.FixtureRequest) -> DevServer:
    """A dev server with a ruleset in either format, and its ID list."""
    ruleset = orjson.loads(RULES.read_bytes())
    server.set_ruleset(ruleset if request.param == "v2" else as_v1(ruleset))
    server.set_id_list("regulars", ["ada"])
    return server


def last_line(output: bytes) -> Any:
    return orjson.loads(output.splitlines()[-1])


async def test_statsig_python_core_evaluates_by_the_rules(server_with_rules: DevServer) -> None:
    output = await run_python(server_with_rules, "statsig_python_core", CORE, *ARGUMENTS)

    assert last_line(output)[0] == EXPECTED


WATCHING = """
import sys, time
from statsig_python_core import Statsig, StatsigOptions, StatsigUser

options = StatsigOptions()
options.specs_url = sys.argv[1] + "/v2/download_config_specs"
options.log_event_url = sys.argv[1] + "/v1/log_event"
options.specs_sync_interval_ms = 1000
options.output_log_level = "none"
statsig = Statsig("secret-1", options)
statsig.initialize().wait()
assert not statsig.check_gate(StatsigUser("dan"), "sale")
while not statsig.check_gate(StatsigUser("dan"), "sale"):
    time.sleep(0.05)
statsig.shutdown().wait()
"""


async def test_statsig_python_core_applies_changed_rules(server_with_rules: DevServer) -> None:
    changed = orjson.loads(RULES.read_bytes())
    changed["feature_gates"]["sale"]["defaultValue"] = True
    changed["feature_gates"]["sale"]["rules"] = []

    async with asyncio.TaskGroup() as group:
        group.create_task(run_python(server_with_rules, "statsig_python_core", WATCHING))
        await server_with_rules.requested("statsig-rules", 2, within=30)
        server_with_rules.set_ruleset(changed)

    statuses = [request.status for request in server_with_rules.requests if request.vendor == "statsig-rules"]
    assert set(statuses) == {200}


async def test_a_client_is_initialized_as_by_statsig_python_core(
    server_with_rules: DevServer, http: aiohttp.ClientSession
) -> None:
    output = await run_python(server_with_rules, "statsig_python_core", CORE, *ARGUMENTS)

    body = {"user": DAN, "hash": "none"}
    async with http.post(f"{server_with_rules.url}/v1/initialize?k=client-1", json=body) as response:
        found = orjson.loads(await response.read())
    theirs = last_line(output)[1]
    same = ("feature_gates", "dynamic_configs", "layer_configs", "param_stores", "time", "has_updates", "user")
    assert {key: found[key] for key in same} == {key: theirs[key] for key in same}


async def test_statsig_evaluates_by_the_rules(server_with_rules: DevServer) -> None:
    output = await run_python(server_with_rules, "statsig", LEGACY, *ARGUMENTS)

    assert last_line(output) == [EXPECTED]


async def test_statsig_node_core_evaluates_by_the_rules(server_with_rules: DevServer, node_modules: Path) -> None:
    output = await run(
        server_with_rules, "node", "-e", NODE_CORE, server_with_rules.url, *ARGUMENTS, folder=node_modules
    )

    assert last_line(output) == [EXPECTED]


async def test_statsig_node_evaluates_by_the_rules(server_with_rules: DevServer, node_modules: Path) -> None:
    output = await run(server_with_rules, "node", "-e", NODE, server_with_rules.url, *ARGUMENTS, folder=node_modules)

    assert last_line(output) == [EXPECTED]
