"""What tests of several folders share: a user, impatient limits, destinations at a dev server, small rules."""

import json
from typing import Any

from asyncsdk import Amplitude, Limits, RudderStack, Rules, Statsig, User
from asyncsdk.dev import DevServer

ADA = User("ada-lovelace", email="ada@example.com", country="NL", device_id="device-1")


def quick(**changes: Any) -> Limits:
    """Limits under which nothing takes long."""
    return Limits(**{"linger": 0.01, "retry_initial": 0.01, "retry_max": 0.02, "probe_interval": 0.05} | changes)


def rudderstack(server: DevServer, limits: Limits | None = None, **settings: Any) -> RudderStack:
    return RudderStack("write-key", server.url, limits=limits or quick(), **settings)


def amplitude(server: DevServer, limits: Limits | None = None, **settings: Any) -> Amplitude:
    return Amplitude("api-key", url=f"{server.url}/2/httpapi", limits=limits or quick(), **settings)


def statsig(server: DevServer, limits: Limits | None = None, **settings: Any) -> Statsig:
    settings.setdefault("rules", None)
    return Statsig("secret-key", log_event_url=f"{server.url}/v1/log_event", limits=limits or quick(), **settings)


def spec(entity: str, default: Any, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    kind = "feature_gate" if entity == "feature_gate" else "dynamic_config"
    return {
        "type": kind, "entity": entity, "salt": "salt", "enabled": True, "defaultValue": default, "rules": list(rules),
        "idType": "userID", "version": 3, **more,
    }  # fmt: skip


def rule(name: str, value: Any, *conditions: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "id": name, "passPercentage": 100, "conditions": list(conditions), "returnValue": value,
        "idType": "userID", **more,
    }  # fmt: skip


def ruleset(time: int = 1000, **changes: Any) -> bytes:
    """Two gates, a config, an experiment with a group, a layer that delegates to it, a store."""
    body = {
        "has_updates": True,
        "time": time,
        "condition_map": {
            "everybody": {"type": "public"},
            "in NL": {"type": "user_field", "operator": "any", "targetValue": ["NL"], "field": "country"},
            "open": {"type": "pass_gate", "targetValue": "open"},
        },
        "feature_gates": {
            "open": spec("feature_gate", False, rule("all", True, "everybody")),
            "dutch": spec("feature_gate", False, rule("nl", True, "in NL")),
            "nested": spec("feature_gate", False, rule("through", True, "open")),
        },
        "dynamic_configs": {
            "prices": spec("dynamic_config", {"name": "Nothing"}, rule("nl", {"name": "Kaas", "price": 9.5, "discount": True, "tags": ["a"], "box": {"w": 1}, "none": None}, "in NL")),
            "button": spec("experiment", {"color": "grey"}, rule("green", {"color": "green", "size": 2}, "everybody", groupName="Test", isExperimentGroup=True), isActive=True, explicitParameters=["color"]),
        },
        "layer_configs": {
            "page": spec("layer", {"color": "grey", "title": "Home"}, rule("to button", {"color": "grey", "title": "Home"}, "everybody", configDelegate="button")),
        },
        "param_stores": {
            "store": {"targetAppIDs": [], "parameters": {
                "color": {"ref_type": "layer", "param_type": "string", "layer_name": "page", "param_name": "color"},
                "fixed": {"ref_type": "static", "param_type": "string", "value": "always"},
                "beta": {"ref_type": "gate", "param_type": "boolean", "gate_name": "open", "pass_value": True, "fail_value": False},
            }},
        },
    }  # fmt: skip
    return json.dumps({**body, **changes}).encode()


def statsig_with_rules(server: DevServer | None = None, **settings: Any) -> Statsig:
    """Statsig with rules that are there at once, and a queue towards the dev server."""
    rules = settings.pop("rules", None) or Rules(bootstrap=ruleset(), specs_url="http://127.0.0.1:9/v2/none")
    url = "http://127.0.0.1:9" if server is None else server.url
    limits = settings.pop("limits", Limits(linger=0.01, retry_initial=0.01, retry_max=0.02))
    return Statsig("secret-key", log_event_url=f"{url}/v1/log_event", rules=rules, limits=limits, **settings)
