"""What the tests of the control API share: a call, and a small ruleset."""

from typing import Any

import aiohttp
from helpers import rule, spec

from asyncsdk.dev import DevServer


async def call(server: DevServer, path: str, body: Any = None, *, method: str = "", status: int = 200) -> Any:
    """Call the control API and return the JSON of the answer."""
    method = method or ("GET" if body is None else "POST")
    options: dict[str, Any] = {} if body is None else {"data" if isinstance(body, bytes) else "json": body}
    url = f"{server.url}/__dev/{path}"
    async with aiohttp.ClientSession() as http, http.request(method, url, **options) as response:
        assert response.status == status, await response.text()
        return await response.json()


def bucket(operator: str, target: int) -> dict[str, Any]:
    return {"type": "user_bucket", "operator": operator, "targetValue": target, "additionalValues": {"salt": "s"}}


def small_ruleset() -> dict[str, Any]:
    """A gate by percentage, one behind a holdout, an experiment of two groups, and a layer of it."""
    return {
        "time": 1000,
        "condition_map": {
            "everyone": {"type": "public"},
            "dutch": {"type": "user_field", "operator": "any", "targetValue": ["NL"], "field": "country"},
            "held": {"type": "pass_gate", "targetValue": "holdout"},
            "low": bucket("lt", 500),
            "high": bucket("gte", 500),
        },
        "feature_gates": {
            "sale": spec("feature_gate", False, rule("dutch", True, "dutch"), rule("share", True, "everyone", passPercentage=40) | {"name": "a share"}),
            "held": spec("feature_gate", False, rule("out", False, "held"), rule("all", True, "everyone")),
            "holdout": spec("holdout", False, rule("all", True, "dutch")),
        },
        "dynamic_configs": {
            "button": spec(
                "experiment", {"color": "grey"},
                rule("control", {"color": "blue"}, "low", groupName="Control", isExperimentGroup=True),
                rule("test", {"color": "red"}, "high", groupName="Test", isExperimentGroup=True), isActive=True,
            ),
            "prices": spec("dynamic_config", {"price": 1}, rule("nl", {"price": 2}, "dutch")),
        },
        "layer_configs": {"page": spec("layer", {"color": "grey"}, rule("to button", {}, "everyone", configDelegate="button"))},
        "experiment_to_layer": {"button": "page"},
    }  # fmt: skip
