"""The other SDKs of the lookup benchmark, each with its lookups for one user.

statsig-python-core, the SDK that ratios refer to, is in `lookups.py`.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

Case = Callable[[], object]


def growthbook(user: Mapping[str, Any]) -> dict[str, Case]:
    """Return GrowthBook's lookups."""
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
    client = GrowthBook(attributes={"id": "u17", "v": "1.3.0", **user, **user["custom"]}, features=features)
    return {
        "public": lambda: client.is_on("public"),
        "detailed": lambda: client.is_on("detailed"),
        "half": lambda: client.is_on("half"),
    }


def launchdarkly(user: Mapping[str, Any]) -> dict[str, Case]:
    """Return LaunchDarkly's lookups."""
    import ldclient  # noqa: PLC0415 -- one of the peers
    from ldclient.integrations.test_data import TestData  # noqa: PLC0415 -- one of the peers

    data = TestData.data_source()
    data.update(data.flag("public").variation_for_all(True))  # noqa: FBT003 -- theirs
    config = ldclient.Config("key", update_processor_class=data, send_events=False)
    client = ldclient.LDClient(config)
    context = ldclient.Context.builder("u17").set("country", user["country"]).set("email", user["email"]).build()
    return {"public": lambda: client.variation("public", context, False)}  # noqa: FBT003 -- theirs


def unleash(user: Mapping[str, Any]) -> dict[str, Case]:
    """Return Unleash's lookups."""
    from UnleashClient import UnleashClient  # noqa: PLC0415 -- one of the peers
    from UnleashClient.cache import FileCache  # noqa: PLC0415 -- one of the peers

    def feature(name: str, parameters: dict[str, str]) -> Any:
        return {"name": name, "enabled": True, "strategies": [{"name": "flexibleRollout", "parameters": parameters}]}

    everyone = {"rollout": "100", "stickiness": "userId", "groupId": "g"}
    cache = FileCache("bench", directory=tempfile.mkdtemp())
    cache.bootstrap_from_dict({"version": 2, "features": [feature("public", everyone)]})
    client = UnleashClient("http://127.0.0.1:9", "bench", disable_metrics=True, disable_registration=True, cache=cache)
    client.initialize_client(fetch_toggles=False)
    context = {"userId": "u17", "properties": {"country": user["country"], "email": user["email"]}}
    return {"public": lambda: client.is_enabled("public", context)}


def legacy(user: Mapping[str, Any], body: bytes) -> dict[str, Case]:
    """Return the lookups of the pure-Python `statsig`."""
    from statsig import StatsigOptions, StatsigServer, StatsigUser  # noqa: PLC0415 -- one of the peers

    server = StatsigServer()
    server.initialize("secret-key", StatsigOptions(local_mode=True, bootstrap_values=first_form(body)))
    asking = StatsigUser("u17", **user)

    def gate(name: str) -> Case:
        return lambda: server.check_gate(asking, name, False)  # noqa: FBT003 -- theirs

    return {name: gate(name) for name in ("public", "detailed", "half", "nested")} | {
        "config": lambda: server.get_config(asking, "config", False).get("title", ""),  # noqa: FBT003 -- theirs
        "experiment": lambda: server.get_experiment(asking, "experiment", False).get("p", 0),  # noqa: FBT003 -- theirs
    }


def first_form(body: bytes) -> str:
    """Convert a ruleset to the older form, which the pure-Python `statsig` reads: specs contain their conditions."""
    parsed = json.loads(body)
    table = parsed.pop("condition_map")
    for section in ("feature_gates", "dynamic_configs", "layer_configs"):
        for name, one in parsed[section].items():
            one["name"] = name
            for found in one["rules"]:
                found["conditions"] = [table[key] for key in found["conditions"]]
        parsed[section] = list(parsed[section].values())
    return json.dumps({**parsed, "layers": {}, "id_lists": {}})
