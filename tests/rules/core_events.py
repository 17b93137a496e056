"""Calls whose events are compared with those of statsig-python-core 0.24.2, field by field.

`python -m rules.core_events`, in `tests`, makes the calls with the installed package and rewrites `recorded_core_events.json`.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import orjson

from asyncsdk import Client, Limits, Rules, Statsig
from asyncsdk.dev import DevServer
from rules.rulesets import (
    NEVER,
    PUBLIC,
    UNKNOWN,
    Json,
    config,
    experiment,
    fails,
    gate,
    layer,
    passes,
    rule,
    ruleset,
    user,
)

GOLDEN = Path(__file__).with_name("recorded_core_events.json")
_TESTS = Path(__file__).parents[1]
ENDLESS = "endless"
EVERYONE: Json = {"gf": "gv", "level": 1}
USER: Json = {
    "userID": "a_user",
    "email": "a_user@statsig.com",
    "ip": "1.0.0.0",
    "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 10_3_1 like Mac OS X)",
    "locale": "en_US",
    "appVersion": "1.3",
    "customIDs": {"companyID": "123", "num": 5},
    "custom": {"level": 9, "f": 1.5, "b": True, "l": ["a", 1], "n": None},
    "privateAttributes": {"secret": "s"},
}

Call = tuple[Any, ...]
"""A verb, the name it is called with, and its other arguments."""
GROUP = {"isExperimentGroup": True, "groupName": "Test"}
MAPPED = [{"rules": [{"rule_name": "or"}]}]


def _bandit(**more: Any) -> Json:
    groups = [{"name": "C", "id": "gc", "parameterValues": {"v": 1}}]
    usual = {"salt": "s", "targetAppIDs": [], "defaultValue": {}, "idType": "userID", "enabled": True, "version": 4}
    return {**usual, "sampleRate": 1.0, "higherIsBetter": True, "groups": groups, "config": None, **more}


def _stands_for(kind: str, **fields: str) -> Json:
    return {"ref_type": kind, "param_type": "string", **fields}


RULESET = ruleset(
    {
        "g_true": gate(rule("rt", [PUBLIC])),
        "g_false": gate(),
        "hold": gate(rule("h", [PUBLIC])),
        "n_pass_true": gate(rule("r", [passes("g_true")])),
        "n_dup": gate(rule("r", [passes("g_true"), passes("g_true"), passes("n_pass_true")])),
        "segment:s": gate(rule("sr", [passes("g_true")])),
        "n_segment": gate(rule("r", [passes("segment:s")])),
        "n_missing_after_real": gate(rule("r", [passes("g_true"), fails("missing")])),
        ENDLESS: gate(rule("r", [passes(ENDLESS)])),
        "u_type_first": gate(rule("r", [UNKNOWN])),
        "u_type_after_pass": gate(rule("r", [PUBLIC, UNKNOWN])),
        "gmap_from": gate(rule("old", [PUBLIC])),
        "gmap_to": gate(rule("r", [PUBLIC])),
    },
    {
        "map_from": config(rule("old", [PUBLIC], {})),
        "map_to": config(rule("r", [PUBLIC], {"p": 1})),
        "c_basic": config(rule("r1", [NEVER], {"p": 1}), rule("r2", [PUBLIC], {"p": 2})),
        "c_share": config(rule("half", [PUBLIC], {"p": 1}, 0)),
        "e_groups": experiment(rule("g1", [NEVER], {}, **GROUP), rule("g2", [PUBLIC], {"p": "x"}, **GROUP)),
        "e_company": experiment(rule("g", [PUBLIC], {"p": 1}, idType="companyID", **GROUP), idType="companyID"),
        "e_delegated": experiment(rule("ed", [passes("hold")], {"p": 1}, **GROUP), explicitParameters=["p"]),
        "e_delegated_fallthrough": experiment(
            rule("never", [NEVER], {}), defaultValue={"p": 1, "q": 2}, explicitParameters=["p"]
        ),
    },
    {
        "l_new": layer(
            rule("a", [passes("g_true")], {}, configDelegate="e_delegated"),
            rule("b", [PUBLIC], {"q": 1}),
            rule("c", [PUBLIC], {"r": 1}),
            defaultValue={"z": 0},
            useNewLayerEval=True,
        ),
        "l_delegate": layer(
            rule("hl", [passes("hold")], {"p": 0}), rule("d", [PUBLIC], {}, configDelegate="e_delegated"), version=3
        ),
        "l_plain_delegate": layer(rule("d", [passes("g_true")], {}, configDelegate="e_delegated"), version=5),
        "l_delegate_fallthrough": layer(rule("d", [PUBLIC], {}, configDelegate="e_delegated_fallthrough")),
        "l_rule": layer(rule("lr", [PUBLIC], {"p": "x"})),
        "l_manual": layer(rule("lm", [passes("g_true")], {"p": 1}, configDelegate="e_groups")),
    },
    override_rules={"or": rule("or", [PUBLIC])},
    overrides={
        "gmap_from": [{"new_config_name": "gmap_to", **MAPPED[0]}],
        "map_from": [{"new_config_name": "map_to", **MAPPED[0]}],
    },
    cmab_configs={"cmab_noconfig": _bandit(), "cmab_targeting": _bandit(targetingGateName="g_false")},
    param_stores={
        "store": {
            "targetAppIDs": [],
            "parameters": {
                "gate": _stands_for("gate", gate_name="g_true") | {"pass_value": "yes", "fail_value": "no"},
                "experiment": _stands_for("experiment", experiment_name="e_groups", param_name="p"),
                "layer": _stands_for("layer", layer_name="l_rule", param_name="p"),
                "config": _stands_for("dynamic_config", config_name="c_basic", param_name="p"),
            },
        }
    },
)
PROBE_CALLS: list[Call] = [
    *[("gate", name) for name in ("n_dup", "n_segment", ENDLESS, "u_type_first", "u_type_after_pass", "gmap_from")],
    ("gate", "n_missing_after_real"),
    *[("experiment", name) for name in ("map_from", "e_groups")],
    ("config", "c_basic"),
    *[("experiment", name) for name in ("e_company", "cmab_noconfig", "cmab_targeting")],
    *[("layer", "l_new", name) for name in "pqzr"],
    ("layer", "l_delegate", "p"),
    *[("layer", "l_delegate_fallthrough", name) for name in "pq"],
    *[("store", "store", name) for name in ("gate", "experiment", "layer", "config")],
    ("log", "  spaced ", None, {"a": None, "l": [1, 2], "nested": {"x": 1}}),
]
CALLS: list[Call] = [
    *PROBE_CALLS,
    ("config", "c_share"),
    ("layer", "l_plain_delegate", "p"),
    *[(kind, f"unknown {kind}") for kind in ("gate", "config", "experiment")],
    ("manual", "gate", "g_true"),
    ("manual", "config", "map_to"),
    ("manual", "experiment", "e_delegated"),
    ("manual", "layer", "l_manual", "p"),
    ("log", "purchase", 12.5, {"a": "b", "n": 1, "t": True}),
    ("log", "add", "val", None),
    ("log", "int", 3, None),
    ("log", "none", None, None),
    ("override", "g_true", False),
    ("gate", "g_true"),
    ("gate", "n_pass_true"),
]
# The calls made when `wire_core.json` was recorded, with the project in `core/eval_proj_dcs.json`.
WIRE_CALLS: list[Call] = [
    ("gate", "test_nested_gate_condition"),
    ("config", "operating_system_config"),
    ("experiment", "running_exp_in_unlayered_with_holdout"),
    ("layer", "layer_with_many_params", "a_string"),
    ("layer", "layer_in_global_holdout", "shared_param"),
    ("gate", "not_a_gate"),
    ("config", "nope"),
    ("manual", "gate", "test_public"),
    ("manual", "config", "test_custom_config"),
    ("manual", "experiment", "experiment_with_many_params"),
    *CALLS[-7:-3],
    ("override", "test_public", False),
    ("gate", "test_public"),
]


async def ask(body: bytes, calls: list[Call], everyone: Json) -> list[Json]:
    """Make the calls with our client and return the events that arrived."""
    async with DevServer(ruleset=orjson.loads(body)) as server:
        rules = Rules(specs_url=f"{server.url}/v2/download_config_specs", global_custom=everyone)
        statsig = Statsig(
            "secret-key", environment="staging", rules=rules, log_event_url=server.url, limits=Limits(linger=60)
        )
        async with Client(statsig) as client:
            for call in calls:
                client._exposures.window.reset()  # this compares fields, not deduplication
                await _ask_one(client, call)
                client.health()  # writes pending exposures now, to keep the order of the calls
        return [event.body for event in server.accepted("statsig")]


async def _ask_one(client: Client, call: Call) -> None:
    one = user(USER)
    match call:
        case ("gate", name):
            await client.check_gate(one, name)
        case ("config", name):
            await client.get_config(one, name)
        case ("experiment", name):
            await client.get_experiment(one, name)
        case ("layer", name, parameter):
            (await client.get_layer(one, name)).get(parameter)
        case ("store", name, parameter):
            (await client.get_parameter_store(one, name)).get(parameter)
        case ("log", name, value, metadata):
            await client.log_event(one, name, value, metadata)
        case ("override", name, value):
            client.override_gate(name, value)
        case ("manual", _, name, *parameter):
            client.log_exposure(one, name, *parameter)


async def ask_core() -> list[Json]:
    """Make the calls with the vendor's package, in a process that can reach only our server; return what arrived."""
    async with DevServer(ruleset=orjson.loads(RULESET)) as server:
        environment = os.environ | {"HTTPS_PROXY": server.url, "NO_PROXY": "127.0.0.1", "CORE_EVENTS_TO": server.url}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rules.core_events", cwd=_TESTS, env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 0
        return [event.body for event in server.accepted("statsig") if event.body["eventName"] not in _NOT_SENT]


def _ask_core(url: str) -> None:
    import statsig_python_core as core

    from rules.oracle import as_core

    options = core.StatsigOptions(
        specs_url=f"{url}/v2/download_config_specs",
        log_event_url=f"{url}/v1/log_event",
        environment="staging",
        global_custom_fields=EVERYONE,
        wait_for_country_lookup_init=True,
        wait_for_user_agent_init=True,
    )
    client = core.Statsig("secret-key", options)
    client.initialize().wait()
    for call in CALLS:
        _ask_core_one(client, as_core(USER), call)
    client.shutdown().wait()


def _ask_core_one(client: Any, one: Any, call: Call) -> None:
    match call:
        case ("gate" | "config" | "experiment" as kind, name):
            getattr(client, _CORE_LOOKUPS[kind])(one, name)
        case ("layer", name, parameter):
            client.get_layer(one, name).get(parameter)
        case ("store", name, parameter):
            client.get_parameter_store(one, name).get_string(parameter, "")
        case ("log", *event):
            client.log_event(one, *event)
        case ("override", name, value):
            client.override_gate(name, value)
        case ("manual", kind, *named):
            getattr(client, f"manually_log_{_CORE_KINDS.get(kind, kind)}_exposure")(one, *named)


_CORE_LOOKUPS = {"gate": "check_gate", "config": "get_dynamic_config", "experiment": "get_experiment"}
_CORE_KINDS = {"config": "dynamic_config", "layer": "layer_parameter"}


# Intended differences.

_NOT_SENT = ("statsig::diagnostics", "statsig::non_exposed_checks", "statsig::identify")


NOT_SENT_HEADERS = {
    "x-request-service": "the name of the service is private",
    "statsig-supports-proto": "binary responses are not supported",
    "statsig-retry-count": "a batch may be split and joined between tries",
    "content-length": "the transport's",
    "content-encoding": "the transport's: large bodies only",
    "accept": "the transport's",
    "accept-encoding": "the transport's, but for what may be large",
    "host": "the transport's",
}


def as_ours(theirs: Json) -> Json | None:
    """Return the event that we send where the vendor's package sends `theirs`; None if we send none."""
    metadata = dict(theirs.get("metadata") or {})
    if theirs["eventName"] in _NOT_SENT or metadata.get("reason") == "Uninitialized" or not theirs["eventName"]:
        return None
    event = {**theirs, "metadata": metadata}
    if "customIDs" in theirs.get("user", {}):  # ids are text
        event["user"] = {
            **theirs["user"],
            "customIDs": {name: str(one) for name, one in theirs["user"]["customIDs"].items()},
        }
    if not theirs["eventName"].endswith("_exposure"):
        return {key: value for key, value in event.items() if value not in (None, {})}  # absent means the same
    if metadata.get("gate") == "":  # a cyclic gate is named, with all fields
        metadata |= {"gate": ENDLESS, "configVersion": "1", "lcut": "1700000000000"}
    if metadata["reason"].endswith(":Unsupported"):  # unsupported gates are closed
        metadata["gateValue"] = "false"
    if theirs["eventName"] == "statsig::config_exposure":  # the package omits it for some experiments
        metadata.setdefault("rulePassed", "true")
    secondary = theirs["secondaryExposures"] or []
    event["secondaryExposures"] = [one for position, one in enumerate(secondary) if one not in secondary[:position]]
    return event


def without_times(event: Json) -> Json:
    """Return an event without the fields that differ from run to run."""
    metadata = event.get("metadata")
    if isinstance(metadata, dict):
        metadata = {key: value for key, value in metadata.items() if key != "receivedAt"}
    shown = {**event, "metadata": metadata}
    return {key: value for key, value in shown.items() if key != "time" and not (key == "metadata" and value is None)}


if __name__ == "__main__":
    if "CORE_EVENTS_TO" in os.environ:
        _ask_core(os.environ["CORE_EVENTS_TO"])
    else:
        kept = [without_times(event) for event in asyncio.run(ask_core())]
        GOLDEN.write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
