"""Each pair of calls on the page for Python's SDKs: ours runs as printed, and sends what the vendor's package sends."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from dev.vendor_sdks import run_python

from asyncsdk.dev import DevServer
from readme.pages import COMING_FROM_PYTHON, Names, run, spans

RUDDERSTACK, AMPLITUDE = "RudderStack and Segment", "Amplitude"
STATSIG, CORE = "Statsig, the package statsig", "Statsig, the package statsig-python-core"
RESULTS = ("is_open", "price", "color", "group", "title", "is_quiet", "is_beta")


def _spec(value: Any, entity: str, **more: Any) -> dict[str, Any]:
    rule = {
        "id": "all",
        "name": "all",
        "passPercentage": 100,
        "conditions": ["all"],
        "returnValue": value,
        "idType": "userID",
    }
    kind = "feature_gate" if entity == "feature_gate" else "dynamic_config"
    base = {"type": kind, "entity": entity, "salt": "s", "enabled": True, "idType": "userID", "version": 1}
    return {**base, "defaultValue": False if kind == "feature_gate" else {}, "rules": [{**rule, **more}]}


RULES = {
    "has_updates": True,
    "time": 1,
    "condition_map": {
        "all": {"type": "public", "targetValue": None, "operator": None, "field": None, "idType": "userID"}
    },
    "feature_gates": {name: _spec(True, "feature_gate") for name in ("new_checkout", "quiet")}
    | {"beta": _spec(False, "feature_gate")},
    "dynamic_configs": {
        "prices": _spec({"price": 15.95}, "dynamic_config"),
        "button": _spec({"color": "green"}, "experiment", groupName="Test", isExperimentGroup=True)
        | {"isActive": True},
    },
    "experiment_to_layer": {},
    "layer_configs": {"page": _spec({"title": "Home"}, "layer")},
}


def _section(title: str) -> str:
    _, _, rest = COMING_FROM_PYTHON.read_text().partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def _blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _section(title), re.MULTILINE | re.DOTALL)


async def _run_ours(title: str) -> Names:
    names: Names = {}
    for block in _blocks(title, "python"):
        await run(block, names)
    return names


def _sent(server: DevServer, vendor: str, fields: Iterable[str]) -> list[str]:
    """What arrived, without what differs from call to call, in an order of its own."""
    found = []
    for event in server.accepted(vendor):
        # The traits of `identify`: rudder-sdk-python has them here only, asyncsdk and Segment's package in both places.
        body = {"traits": event.body.get("context", {}).get("traits"), **event.body}
        found.append(json.dumps({name: body[name] for name in fields if body.get(name)}, sort_keys=True))
    return sorted(found)


def test_each_of_their_blocks_is_followed_by_one_of_ours() -> None:
    languages = re.findall(r"^```(\w+)$", COMING_FROM_PYTHON.read_text(), re.MULTILINE)

    assert languages == ["python", *["py", "python"] * (len(languages) // 2)]


async def test_a_plain_function_and_a_thread_put_events(server: DevServer) -> None:
    await _run_ours("Where calls are made")

    assert [event.name for event in server.accepted("rudderstack")] == ["Order Completed"] * 2


@pytest.mark.parametrize(("title", "vendor", "count"), [(RUDDERSTACK, "rudderstack", 9), (AMPLITUDE, "amplitude", 8)])
async def test_all_events_of_ours_arrive(server: DevServer, title: str, vendor: str, count: int) -> None:
    await _run_ours(title)

    assert [event.verdict for event in server.events] == ["accepted"] * count


@pytest.mark.parametrize("title", [STATSIG, CORE])
async def test_lookups_of_ours_answer_from_the_rules(server: DevServer, title: str) -> None:
    server.set_ruleset(RULES)

    names = await _run_ours(title)

    expected = {
        "is_open": True,
        "price": 15.95,
        "color": "green",
        "group": "Test",
        "title": "Home",
        "is_quiet": True,
        "is_beta": True,
    }
    assert {name: names[name] for name in RESULTS if name in names}.items() <= expected.items()


def test_the_settings_in_the_tables_exist() -> None:
    text = COMING_FROM_PYTHON.read_text()
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `") and "|---" not in line]
    names: Names = {}
    exec("from asyncsdk import *", names)  # noqa: S102 -- as users of the page have them

    for _, ours, *_ in rows:
        for call in spans(ours):
            if call.startswith(("Amplitude(", "Statsig(", "Rules(poll")):
                eval(call.replace(", ...", ""), names)  # noqa: S307 -- our own page


# --- beside the vendors' packages ---------------------------------------------------------------------------------


def _theirs(title: str, replacements: Mapping[str, str]) -> str:
    program = "import sys\n" + "".join(_blocks(title, "py"))
    for old, new in replacements.items():
        assert old in program
        program = program.replace(old, new)
    return f"{program}\nimport json\nprint('RESULTS' + json.dumps({{n: v for n, v in globals().items() if n in {RESULTS}}}))"


Sent = tuple[list[str], Names]


async def _theirs_sends(server: DevServer, module: str, program: str, vendor: str, fields: Iterable[str]) -> Sent:
    output = (await run_python(server, module, program)).decode()
    sent = _sent(server, vendor, fields), json.loads(output.partition("RESULTS")[2])
    server.reset()
    return sent


async def _ours_sends(server: DevServer, title: str, vendor: str, fields: Iterable[str]) -> Sent:
    names = await _run_ours(title)
    return _sent(server, vendor, fields), {name: names[name] for name in RESULTS if name in names}


MESSAGE = (
    "type",
    "userId",
    "anonymousId",
    "event",
    "name",
    "category",
    "properties",
    "traits",
    "groupId",
    "previousId",
)
URL = {'"https://plane.example.com"': "sys.argv[1]"}
SEGMENT = {"import rudderstack.analytics": "import segment.analytics", "dataPlaneUrl": "host"}


@pytest.mark.oracle
@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("module", "more"), [("rudderstack", {}), ("segment", SEGMENT)])
async def test_the_calls_of_rudderstack_and_segment_send_the_same(
    server: DevServer, module: str, more: dict[str, str]
) -> None:
    theirs = await _theirs_sends(server, module, _theirs(RUDDERSTACK, URL | more), "rudderstack", MESSAGE)
    ours = await _ours_sends(server, RUDDERSTACK, "rudderstack", MESSAGE)

    assert ours == theirs
    assert len(ours[0]) == 9


EVENT = (
    *("event_type", "user_id", "device_id", "event_properties", "user_properties", "groups", "group_properties"),
    *("session_id", "platform", "price", "quantity", "productId", "revenue"),
)


@pytest.mark.oracle
@pytest.mark.process
@pytest.mark.timeout(120)
async def test_the_calls_of_amplitude_send_the_same(server: DevServer) -> None:
    replaced = {'"https://api2.amplitude.com/2/httpapi"': 'sys.argv[1] + "/2/httpapi", flush_interval_millis=50'}
    theirs = await _theirs_sends(server, "amplitude", _theirs(AMPLITUDE, replaced), "amplitude", EVENT)
    ours = await _ours_sends(server, AMPLITUDE, "amplitude", EVENT)

    assert ours == theirs
    assert len(ours[0]) == 8


# What Statsig's packages report about themselves.
INTERNAL = ("statsig::diagnostics", "statsig::non_exposed_checks")
LOGGED = ("eventName", "value", "user")
LEGACY = {
    "StatsigOptions(tier": 'StatsigOptions(**dict.fromkeys(("api", "api_for_download_config_specs", "api_for_get_id_lists", '
    '"api_for_log_event"), sys.argv[1] + "/v1/"), tier'
}
OF_CORE = {
    'options.environment = "staging"': 'options.environment = "staging"\noptions.specs_url = sys.argv[1] + "/v2/download_config_specs"\n'
    'options.id_lists_url = sys.argv[1] + "/v1/get_id_lists"\noptions.log_event_url = sys.argv[1] + "/v1/log_event"'
}


@pytest.mark.oracle
@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("title", "module", "replaced"), [(STATSIG, "statsig", LEGACY), (CORE, "statsig_python_core", OF_CORE)]
)
async def test_the_calls_of_statsig_s_packages_answer_and_send_the_same(
    server: DevServer, title: str, module: str, replaced: dict[str, str]
) -> None:
    server.set_ruleset(RULES)

    theirs, results = await _theirs_sends(server, module, _theirs(title, replaced), "statsig", LOGGED)
    ours, our_results = await _ours_sends(server, title, "statsig", LOGGED)

    assert our_results == results
    assert ours == [event for event in theirs if not any(name in event for name in INTERNAL)]
