"""A project with a few names of each kind, for tests of what is reported and shown."""

from typing import Any

import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.ruleset import Ruleset
from rules.rulesets import (
    NOW_MS,
    PUBLIC,
    Json,
    config,
    experiment,
    fails,
    gate,
    layer,
    loaded,
    passes,
    rule,
    ruleset,
)

ADA = User("ada", email="ada@example.com", country="NL")
GATES = {
    "g": gate(rule("rg", [PUBLIC])),
    "looks": gate(rule("rl", [passes("g")]), version=3),
    "holdout": {**gate(rule("h", [PUBLIC], share=0)), "entity": "holdout"},
    "segment:s": {**gate(), "entity": "segment"},
}
CONFIGS = {
    "c": config(rule("rc", [fails("looks")], {"n": 1}), defaultValue={"n": 2}),
    "e": experiment(
        rule("re", [passes("g")], {"p": 1}, groupName="Test", isExperimentGroup=True),
        hasSharedParams=True,
        explicitParameters=["p"],
        idType="stableID",
    ),
    "bare": experiment(hasSharedParams=True, isActive=False),
}
LAYERS = {
    "l": layer(rule("rl", [passes("holdout")], {"q": 0}), rule("rd", [PUBLIC], configDelegate="e")),
    "m": layer(rule("rm", [PUBLIC], {"q": 1}), defaultValue={"z": 0}, useNewLayerEval=True),
}


def project(**more: Any) -> Ruleset:
    """Load the project; `more` are top-level fields of the body."""
    return loaded(ruleset(GATES, CONFIGS, LAYERS, **more), received_at_ms=NOW_MS)


def metadata(exposure: Any) -> Json:
    """Return the metadata of an exposure, parsed."""
    fields: Json = orjson.loads(exposure.metadata)
    return fields
