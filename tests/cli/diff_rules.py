"""A project in two versions, for the tests of `asyncsdk diff`."""

from copy import deepcopy
from typing import Any

import orjson
from rules.rulesets import PUBLIC, condition, config, experiment, field, gate, layer, passes, rule, ruleset

OLD: dict[str, Any] = orjson.loads(
    ruleset(
        {
            "staff": gate(rule("mail", [field("email", "str_ends_with_any", ["@shop.example"])])),
            "segment:dutch": {**gate(rule("nl", [field("country", "any", ["NL"])])), "entity": "segment"},
            "holdout": {**gate(rule("held", [PUBLIC], share=20)), "entity": "holdout"},
            "beta": gate(rule("staff", [passes("staff")])),
            "checkout": gate(
                rule("holdout", [passes("holdout")], value=False),
                rule("dutch", [passes("segment:dutch")]),
                rule("rest", [PUBLIC], share=50),
            ),
            "quiet": gate(rule("nobody", [field("country", "any", ["XX"])])),
        },
        {
            "prices": config(
                rule("dutch", [passes("segment:dutch")], {"currency": "EUR"}), defaultValue={"currency": "USD"}
            ),
            "button": experiment(
                rule("held", [passes("holdout")], {"color": "grey"}),
                *(
                    rule(name, [condition("user_bucket", "lt", end, salt="b")], {"color": color}, groupName=name, isExperimentGroup=True)
                    for name, end, color in (("Control", 500, "blue"), ("Test", 1000, "red"))
                ),
                explicitParameters=["color"],
                hasSharedParams=True,
            ),
        },
        {
            "home": layer(
                rule("slice", [condition("user_bucket", "lt", 800, salt="home")], configDelegate="button"),
                defaultValue={"color": "green", "size": 1},
            )
        },
        param_stores={"store": {"parameters": {"hue": {"ref_type": "static", "value": 1}}}},
    )
)  # fmt: skip
USERS = [
    {"userID": f"u{n}", "country": "NL" if n % 3 else "US", "email": f"u{n}@{'shop' if n % 4 else 'mail'}.example"}
    for n in range(120)
]
NAMES = ("feature_gates", "dynamic_configs", "layer_configs")


def edited(*edits: tuple[str, str, int, str, Any]) -> dict[str, Any]:
    """Return the project with fields of rules replaced: (section, name, index of the rule, field, value)."""
    new = deepcopy(OLD)
    for section, name, index, key, value in edits:
        new[section][name]["rules"][index][key] = value
    return new


def with_segment(target: list[str]) -> dict[str, Any]:
    """Return the project with other countries in its segment: a condition is edited, no spec."""
    new = deepcopy(OLD)
    for one in new["condition_map"].values():
        if one["field"] == "country" and one["targetValue"] == ["NL"]:
            one["targetValue"] = target
    return new
