"""The vendors' published SDKs deliver to the dev server, which shows that it imitates the vendors well."""

from pathlib import Path

import pytest

from asyncsdk.dev import DevServer, ReceivedEvent
from dev.vendor_sdks import run, run_python

pytestmark = [pytest.mark.oracle, pytest.mark.process, pytest.mark.timeout(240)]

SIX_CALLS = [
    ("identify", ""),
    ("track", "Order"),
    ("page", "Intro"),
    ("screen", "Home"),
    ("group", "g-1"),
    ("alias", "old"),
]

RUDDER_PYTHON = """
import sys
import rudderstack.analytics as rudder

rudder.write_key, rudder.dataPlaneUrl = "key", sys.argv[1]
rudder.gzip = sys.argv[2] == "gzip"
rudder.identify("ada", {"plan": "Pro"})
rudder.track("ada", "Order", {"revenue": 19.95})
rudder.page("ada", "Docs", "Intro", {"url": "https://example.com"})
rudder.screen("ada", "App", "Home", {})
rudder.group("ada", "g-1", {"name": "Company"})
rudder.alias("old", "ada")
rudder.shutdown()
"""

AMPLITUDE_PYTHON = """
import sys
from amplitude import Amplitude, BaseEvent, Config, EventOptions, Identify

client = Amplitude("key", Config(server_url=sys.argv[1] + sys.argv[2], flush_interval_millis=100))
client.track(BaseEvent("Order", user_id="ada-1", event_properties={"sku": "A"}))
plan = Identify()
plan.set("plan", "Pro")
client.identify(plan, EventOptions(user_id="ada-1"))
client.flush()
client.shutdown()
"""

STATSIG_LEGACY = """
import sys
from statsig import StatsigEvent, StatsigOptions, StatsigUser, statsig

api = sys.argv[1] + "/v1/"
options = StatsigOptions(
    api, api_for_download_config_specs=api, api_for_get_id_lists=api, api_for_log_event=api
)
statsig.initialize("secret-1", options)
statsig.log_event(StatsigEvent(StatsigUser("ada"), "add_to_cart", 19.99, {"sku": "A"}))
statsig.check_gate(StatsigUser("ada"), "new_checkout")
statsig.shutdown()
"""

STATSIG_CORE = """
import sys
from statsig_python_core import Statsig, StatsigOptions, StatsigUser

options = StatsigOptions()
options.specs_url = sys.argv[1] + "/v2/download_config_specs"
options.id_lists_url = sys.argv[1] + "/v1/get_id_lists"
options.log_event_url = sys.argv[1] + "/v1/log_event"
statsig = Statsig("secret-1", options)
statsig.initialize().wait()
statsig.log_event(StatsigUser("ada"), "add_to_cart", 19.99, {"sku": "A"})
statsig.check_gate(StatsigUser("ada"), "new_checkout")
statsig.shutdown().wait()
"""

RUDDER_NODE = """
const Analytics = require("@rudderstack/rudder-sdk-node");
const [url, encoding] = process.argv.slice(1);
const client = new Analytics("key", {dataPlaneUrl: url, flushInterval: 100, gzip: encoding === "gzip"});
client.identify({userId: "ada", traits: {plan: "Pro"}});
client.track({userId: "ada", event: "Order", properties: {revenue: 19.95}});
client.page({userId: "ada", name: "Intro"});
client.screen({userId: "ada", name: "Home"});
client.group({userId: "ada", groupId: "g-1"});
client.alias({previousId: "old", userId: "ada"});
client.flush().then(() => process.exit(0), () => process.exit(1));
"""

AMPLITUDE_NODE = """
const amplitude = require("@amplitude/analytics-node");
const [url, path] = process.argv.slice(1);
(async () => {
  await amplitude.init("key", {serverUrl: url + path}).promise;
  const user = {user_id: "ada-1"};
  const sent = [
    amplitude.track("Order", {sku: "A"}, user),
    amplitude.identify(new amplitude.Identify().set("plan", "Pro"), user),
  ];
  await amplitude.flush().promise;
  const results = await Promise.all(sent.map((event) => event.promise));
  process.exit(results.every((result) => result.code === 200) ? 0 : 1);
})();
"""

STATSIG_NODE_CORE = """
const { Statsig, StatsigUser } = require("@statsig/statsig-node-core");
const [url] = process.argv.slice(1);
(async () => {
  const statsig = new Statsig("secret-1", {
    specsUrl: url + "/v2/download_config_specs", logEventUrl: url + "/v1/log_event",
    idListsUrl: url + "/v1/get_id_lists", outputLogLevel: "none",
  });
  await statsig.initialize();
  const user = new StatsigUser({userID: "ada"});
  for (let n = 0; n < 50; n++) statsig.logEvent(user, "add_to_cart", n, {sku: "A"});
  statsig.checkGate(user, "new_checkout");
  await statsig.shutdown();
})();
"""

STATSIG_JS = """
const { StatsigClient } = require("@statsig/js-client");
const [url, compression] = process.argv.slice(1);
(async () => {
  const client = new StatsigClient("client-1", {userID: "ada"}, {
    networkConfig: {api: url + "/v1"}, logEventCompressionMode: compression, loggingEnabled: "always", disableStorage: true,
  });
  await client.initializeAsync();
  for (let n = 0; n < 50; n++) client.logEvent({eventName: "add_to_cart", value: n, metadata: {sku: "A"}});
  client.checkGate("new_checkout");
  await client.flush();
  await client.shutdown();
})();
"""


def shown(events: list[ReceivedEvent]) -> list[tuple[str, str]]:
    assert {event.user for event in events} <= {"ada", "ada-1", ""}
    assert [event.verdict for event in events] == ["accepted"] * len(events)
    return [(event.kind, event.name) for event in events]


def logged(server: DevServer) -> list[int]:
    """Return the values of the logged events, in order; nothing may be refused."""
    assert {event.verdict for event in server.events} == {"accepted"}
    assert {request.status for request in server.requests if request.vendor == "statsig"} == {202}
    return sorted(
        event.body["value"] for event in server.events if event.kind == "event" and event.name == "add_to_cart"
    )


@pytest.mark.parametrize("encoding", ["gzip", "plain"])
async def test_rudder_sdk_python_delivers_the_six_calls(server: DevServer, encoding: str) -> None:
    await run_python(server, "rudderstack", RUDDER_PYTHON, encoding)

    assert shown(server.events) == SIX_CALLS
    assert (server.requests[0].header("Content-Encoding") == "gzip") == (encoding == "gzip")


@pytest.mark.parametrize("path", ["/2/httpapi", "/batch"])
async def test_amplitude_analytics_delivers(server: DevServer, path: str) -> None:
    await run_python(server, "amplitude", AMPLITUDE_PYTHON, path)

    assert shown(server.events) == [("event", "Order"), ("identify", "$identify")]


async def test_statsig_delivers(server: DevServer) -> None:
    await run_python(server, "statsig", STATSIG_LEGACY)

    assert {("event", "add_to_cart"), ("gate_exposure", "new_checkout")} <= set(shown(server.events))


async def test_statsig_python_core_delivers(server: DevServer) -> None:
    await run_python(server, "statsig_python_core", STATSIG_CORE)

    assert {("event", "add_to_cart"), ("gate_exposure", "new_checkout")} <= set(shown(server.events))


@pytest.mark.parametrize("encoding", ["gzip", "plain"])
async def test_rudder_sdk_node_delivers_the_six_calls(server: DevServer, node_modules: Path, encoding: str) -> None:
    await run(server, "node", "-e", RUDDER_NODE, server.url, encoding, folder=node_modules)

    assert shown(server.events) == SIX_CALLS
    assert (server.requests[0].header("Content-Encoding") == "gzip") == (encoding == "gzip")


@pytest.mark.parametrize("path", ["/2/httpapi", "/batch"])
async def test_amplitude_analytics_node_delivers(server: DevServer, node_modules: Path, path: str) -> None:
    await run(server, "node", "-e", AMPLITUDE_NODE, server.url, path, folder=node_modules)

    assert shown(server.events) == [("event", "Order"), ("identify", "$identify")]


async def test_statsig_node_core_delivers_every_event(server: DevServer, node_modules: Path) -> None:
    await run(server, "node", "-e", STATSIG_NODE_CORE, server.url, folder=node_modules)

    assert logged(server) == list(range(50))
    assert server.requests[-1].header("Content-Encoding") == "zstd"
    assert "gate_exposure" in {event.kind for event in server.events}


@pytest.mark.parametrize("compression", ["d", "f"])
async def test_statsig_js_client_delivers_every_event(server: DevServer, node_modules: Path, compression: str) -> None:
    await run(server, "node", "-e", STATSIG_JS, server.url, compression, folder=node_modules)

    assert logged(server) == list(range(50))
    assert (server.requests[-1].wire_size < server.requests[-1].plain_size) == (compression == "f")
    assert "gate_exposure" in {event.kind for event in server.events}
