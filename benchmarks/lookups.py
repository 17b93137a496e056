"""How long does a lookup take, beside the vendors' SDKs? Nanoseconds of one thread, and ratios to statsig-python-core.

Ours is the rules engine with de-duplication, called as the client calls it, also behind an `async def`. Exposures are
off for the peers but in the rows that say so. Peers that cannot do a case are left out of its row.
"""

import asyncio
import json
import random
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from _measure import Clock, Sample, arguments, interleave, show

from asyncsdk._model.users import User
from asyncsdk._rules import views
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.exposures import Recent
from asyncsdk._rules.loading import load_now
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._rules.surroundings import Surroundings

CALLS = 2_000
CUSTOM = {"plan": "pro", "level": 9, "beta": True, "team": "red", "score": 1.5}
MANY = CUSTOM | {f"field_{number}": f"value {number}" for number in range(25)}
USER: dict[str, Any] = {"email": "ada@example.com", "country": "NL", "app_version": "1.3.0", "custom": CUSTOM}
Case = Callable[[], object]


def condition(
    kind: str, operator: str | None = None, target: Any = None, field: str | None = None, salt: str = ""
) -> Any:
    """Make a condition."""
    return {
        "type": kind,
        "operator": operator,
        "targetValue": target,
        "field": field,
        "additionalValues": {"salt": salt},
        "idType": "userID",
    }


def rule(name: str, conditions: list[Any], value: Any = True, share: float = 100, **more: Any) -> Any:  # noqa: FBT002
    """Make a rule."""
    common = {"id": name, "name": name, "salt": "c0ffee00-1111-2222-3333-444444444444", "idType": "userID"}
    return {**common, "conditions": conditions, "returnValue": value, "passPercentage": share, **more}


def spec(entity: str, *rules: Any, **more: Any) -> Any:
    """Make a spec."""
    kind = "feature_gate" if entity == "feature_gate" else "dynamic_config"
    default = False if kind == "feature_gate" else {}
    common = {"type": kind, "entity": entity, "salt": "f00dface-aaaa-bbbb-cccc-dddddddddddd", "enabled": True}
    return {**common, "defaultValue": default, "rules": list(rules), "idType": "userID", "version": 1, **more}


def project(copies: int = 0) -> bytes:
    """Make the ruleset of this benchmark, with copies of its specs if wanted."""
    public = [condition("public")]
    detailed = [
        condition("user_field", "any", ["US", "NL", "BE"], "country"),
        condition("user_field", "str_ends_with_any", ["@example.com", "@example.org"], "email"),
        condition("user_field", "version_gte", "1.2.0", "appVersion"),
    ]
    gates = {
        "public": spec("feature_gate", rule("all", public)),
        "detailed": spec("feature_gate", rule("some", detailed)),
        "half": spec("feature_gate", rule("half", public, share=50)),
        "most": spec("feature_gate", rule("most", public, share=99)),
        "off": spec("feature_gate", rule("none", [condition("user_field", "any", ["x"], "userID")])),
        "nested": spec(
            "feature_gate",
            rule(
                "deep",
                [
                    condition("pass_gate", None, "public"),
                    condition("pass_gate", None, "detailed"),
                    condition("fail_gate", None, "off"),
                    condition("pass_gate", None, "most"),
                ],
            ),
        ),
    }
    bucket = "exp00000-aaaa-bbbb-cccc-dddddddddddd"
    configs = {
        "config": spec("dynamic_config", rule("all", public, {"title": "hello", "price": 10})),
        "experiment": spec(
            "experiment",
            rule(
                "a",
                [condition("user_bucket", "lt", 500, None, bucket)],
                {"p": 1},
                groupName="A",
                isExperimentGroup=True,
            ),
            rule(
                "b",
                [condition("user_bucket", "lt", 1000, None, bucket)],
                {"p": 2},
                groupName="B",
                isExperimentGroup=True,
            ),
            isActive=True,
            explicitParameters=["p"],
        ),
    }
    sliced = json.loads(json.dumps(configs["experiment"]))
    sliced["rules"].insert(0, rule("slice", [condition("user_bucket", "gte", 999, None, "layer000")], {}))
    configs["sliced"] = sliced
    for section in (gates, configs):
        section |= {
            f"{name} {number}": json.loads(json.dumps(one)) for number in range(copies) for name, one in section.items()
        }
    layers = {"layer": spec("layer", rule("delegates", public, {}, configDelegate="experiment"))}
    table: dict[str, Any] = {}
    for section in (gates, configs, layers):
        for one in section.values():
            for found in one["rules"]:
                keys = [str(len(table) + place) for place in range(len(found["conditions"]))]
                table |= dict(zip(keys, found["conditions"], strict=True))
                found["conditions"] = keys
    body = {"has_updates": True, "time": 1, "company_id": "c", "response_format": "dcs-v2", "experiment_to_layer": {}}
    sections = {"feature_gates": gates, "dynamic_configs": configs, "layer_configs": layers, "condition_map": table}
    return json.dumps({**body, **sections}).encode()


def load(body: bytes) -> Ruleset:
    """Load a ruleset."""
    rules = load_now(body, Surroundings(clock=lambda: 0, random=random.random))
    assert rules is not None
    return rules


def ours(rules: Ruleset) -> dict[str, Case]:
    """Make our cases."""
    user, recent = User("u17", **USER), Recent()

    def fresh() -> User:
        user._memo = None  # noqa: SLF001 -- as if never looked up
        return user

    def exposed() -> bool:
        found = rules.gate(user, "public")
        recent.is_new(user, found)
        return found.value is True

    cases: dict[str, Case] = {
        "public gate": lambda: rules.gate(user, "public").value,
        "public gate, exposure repeated": exposed,
        "country + email + version": lambda: rules.gate(fresh(), "detailed").value,
        "50 % rollout": lambda: rules.gate(fresh(), "half").value,
        "50 % rollout, checked before": lambda: rules.gate(user, "half").value,
        "nested, 4 gates": lambda: rules.gate(fresh(), "nested").value,
        "config + one value": lambda: views.config(rules, rules.config(user, "config")).get_string("title", ""),
        "experiment + one value": lambda: views.experiment(rules, rules.experiment(fresh(), "experiment")).get_number(
            "p", 0
        ),
        "experiment in a slice (two hashes)": lambda: rules.experiment(fresh(), "sliced").value["p"],
        "layer + one parameter": lambda: views.layer(rules, rules.layer(fresh(), "layer"), str).get_number("p", 0),
        "user of 5 fields + public gate": lambda: rules.gate(User("u17", **USER), "public").value,
        "user of 30 fields + public gate": lambda: (
            rules.gate(
                User("u17", email="ada@example.com", country="NL", app_version="1.3.0", custom=MANY), "public"
            ).value
        ),
        "client response": lambda: len(client_response(client_view(rules), fresh(), {})) > 100,
    }
    return cases


def core(body: bytes) -> dict[str, Case]:
    """Make statsig-python-core's cases."""
    import statsig_python_core as package  # noqa: PLC0415 -- one of the peers
    from statsig_python_core.data_store import DataStore, DataStoreResponse  # noqa: PLC0415 -- one of the peers

    class Store(DataStore):  # type: ignore[misc]
        def get(self, key: str) -> Any:
            return DataStoreResponse(body.decode(), 1) if "download_config_specs" in key else None

    options = package.StatsigOptions(data_store=Store(), disable_network=True, output_log_level="none")
    client = package.Statsig("secret-key", options)
    client.initialize().wait()
    user = package.StatsigUser("u17", **USER)
    quiet = {
        "gate": package.FeatureGateEvaluationOptions(disable_exposure_logging=True),
        "config": package.DynamicConfigEvaluationOptions(disable_exposure_logging=True),
        "experiment": package.ExperimentEvaluationOptions(disable_exposure_logging=True),
        "layer": package.LayerEvaluationOptions(disable_exposure_logging=True),
    }
    gate = quiet["gate"]
    return {
        "public gate": lambda: client.check_gate(user, "public", gate),
        "public gate, exposure repeated": lambda: client.check_gate(user, "public"),
        "country + email + version": lambda: client.check_gate(user, "detailed", gate),
        "50 % rollout": lambda: client.check_gate(user, "half", gate),
        "50 % rollout, checked before": lambda: client.check_gate(user, "half", gate),
        "nested, 4 gates": lambda: client.check_gate(user, "nested", gate),
        "config + one value": lambda: client.get_dynamic_config(user, "config", quiet["config"]).get_string(
            "title", ""
        ),
        "experiment + one value": lambda: client.get_experiment(user, "experiment", quiet["experiment"]).get_float(
            "p", 0
        ),
        "experiment in a slice (two hashes)": lambda: client.get_experiment(user, "sliced", quiet["experiment"]).value[
            "p"
        ],
        "layer + one parameter": lambda: client.get_layer(user, "layer", quiet["layer"]).get_float("p", 0),
        "user of 5 fields + public gate": lambda: client.check_gate(package.StatsigUser("u17", **USER), "public", gate),
        "user of 30 fields + public gate": lambda: client.check_gate(
            package.StatsigUser("u17", **{**USER, "custom": MANY}), "public", gate
        ),
        "client response": lambda: len(client.get_client_initialize_response(user)) > 100,
    }


def growthbook() -> dict[str, Case]:
    """Make GrowthBook's cases."""
    from growthbook import GrowthBook  # noqa: PLC0415 -- one of the peers

    ask = {
        "country": {"$in": ["US", "NL", "BE"]},
        "email": {"$regex": "@example\\.(com|org)$"},
        "v": {"$vgte": "1.2.0"},
    }
    features = {
        "public": {"defaultValue": False, "rules": [{"force": True}]},
        "detailed": {"defaultValue": False, "rules": [{"condition": ask, "force": True}]},
        "half": {"defaultValue": False, "rules": [{"force": True, "coverage": 0.5, "hashAttribute": "id"}]},
    }
    client = GrowthBook(attributes={"id": "u17", "v": "1.3.0", **USER, **CUSTOM}, features=features)
    return {
        "public gate": lambda: client.is_on("public"),
        "country + email + version": lambda: client.is_on("detailed"),
        "50 % rollout": lambda: client.is_on("half"),
    }


def launchdarkly() -> dict[str, Case]:
    """Make LaunchDarkly's cases."""
    import ldclient  # noqa: PLC0415 -- one of the peers
    from ldclient.integrations.test_data import TestData  # noqa: PLC0415 -- one of the peers

    data = TestData.data_source()
    data.update(data.flag("public").variation_for_all(True))  # noqa: FBT003 -- theirs
    data.update(
        data.flag("detailed").if_match("country", "US", "NL", "BE").then_return(True).fallthrough_variation(False)  # noqa: FBT003 -- theirs
    )
    config = ldclient.Config("key", update_processor_class=data, send_events=False)
    client = ldclient.LDClient(config)
    context = ldclient.Context.builder("u17").set("country", "NL").set("email", "ada@example.com").build()
    return {
        "public gate": lambda: client.variation("public", context, False),  # noqa: FBT003 -- theirs
    }


def unleash() -> dict[str, Case]:
    """Make Unleash's cases."""
    from UnleashClient import UnleashClient  # noqa: PLC0415 -- one of the peers
    from UnleashClient.cache import FileCache  # noqa: PLC0415 -- one of the peers

    def feature(name: str, parameters: dict[str, str]) -> Any:
        return {"name": name, "enabled": True, "strategies": [{"name": "flexibleRollout", "parameters": parameters}]}

    everyone = {"rollout": "100", "stickiness": "userId", "groupId": "g"}
    cache = FileCache("bench", directory=tempfile.mkdtemp())
    cache.bootstrap_from_dict({"version": 2, "features": [feature("public", everyone)]})
    client = UnleashClient("http://127.0.0.1:9", "bench", disable_metrics=True, disable_registration=True, cache=cache)
    client.initialize_client(fetch_toggles=False)
    context = {"userId": "u17", "properties": {"country": "NL", "email": "ada@example.com"}}
    return {"public gate": lambda: client.is_enabled("public", context)}


def legacy(body: bytes) -> dict[str, Case]:
    """Make the cases of the pure-Python `statsig`."""
    from statsig import StatsigOptions, StatsigServer, StatsigUser  # noqa: PLC0415 -- one of the peers

    parsed = json.loads(body)
    table = parsed.pop("condition_map")
    for section in ("feature_gates", "dynamic_configs", "layer_configs"):
        for name, one in parsed[section].items():
            one["name"] = name
            for found in one["rules"]:
                found["conditions"] = [table[key] for key in found["conditions"]]
        parsed[section] = list(parsed[section].values())
    parsed |= {"layers": {}, "id_lists": {}}
    server = StatsigServer()
    server.initialize("secret-key", StatsigOptions(local_mode=True, bootstrap_values=json.dumps(parsed)))
    user = StatsigUser("u17", **USER)
    return {
        "public gate": lambda: server.check_gate(user, "public", False),  # noqa: FBT003 -- theirs
        "country + email + version": lambda: server.check_gate(user, "detailed", False),  # noqa: FBT003 -- theirs
        "50 % rollout": lambda: server.check_gate(user, "half", False),  # noqa: FBT003 -- theirs
        "nested, 4 gates": lambda: server.check_gate(user, "nested", False),  # noqa: FBT003 -- theirs
        "config + one value": lambda: server.get_config(user, "config", False).get("title", ""),  # noqa: FBT003 -- theirs
        "experiment + one value": lambda: server.get_experiment(user, "experiment", False).get("p", 0),  # noqa: FBT003
    }


def timed(case: Case, calls: int) -> Callable[[], Sample]:
    """Time a case in a loop."""

    def run() -> Sample:
        clock = Clock()
        for _ in range(calls):
            case()
        return clock.stop(calls)

    return run


def awaited(case: Case, calls: int) -> Callable[[], Sample]:
    """Time a case behind an `async def` that does not suspend."""

    async def ask() -> object:
        return case()

    async def loop() -> Sample:
        clock = Clock()
        for _ in range(calls):
            await ask()
        return clock.stop(calls)

    return lambda: asyncio.run(loop())


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__)
    rounds, calls = (1, 200) if options.quick else (9, CALLS)
    body = project()
    mine, theirs = ours(load(body)), core(body)
    peers: Mapping[str, dict[str, Case]] = {
        "core": theirs,
        "legacy": legacy(body),
        "GrowthBook": growthbook(),
        "LaunchDarkly": launchdarkly(),
        "Unleash": unleash(),
    }
    big = project(20)
    mine["client response"], theirs["client response"] = (
        ours(load(big))["client response"],
        core(big)["client response"],
    )
    rows = []
    for name, case in mine.items():
        for peer, cases in peers.items():
            if name in cases and (peer in ("core", "legacy") or "rollout" not in name):
                assert cases[name]() == case(), (peer, name)
        count = calls // 50 if name == "client response" else calls
        runs = {"asyncsdk": timed(case, count), "awaited": awaited(case, count)}
        runs |= {peer: timed(cases[name], count) for peer, cases in peers.items() if name in cases}
        found = interleave(runs, rounds)
        best = {peer: timing.best for peer, timing in found.items()}
        ratios = (best["core"] / best["asyncsdk"], best["core"] / best["awaited"])
        rows.append([name, *(best.get(peer, "-") for peer in ("asyncsdk", "awaited", *peers)), *ratios])
    floor = interleave({"call": timed(lambda: None, calls)}, rounds)["call"].best
    rows.append(["floor: a call of nothing", floor, *["-"] * 8])
    columns = ["ns per lookup", "asyncsdk", "awaited", *peers, "core / ours", "core / awaited"]
    show("Lookups; the client response is of 170 specs", columns, rows, as_json=options.json)


if __name__ == "__main__":
    main()
