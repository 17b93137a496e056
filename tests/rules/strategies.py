"""Hypothesis strategies for rulesets and users, with few names and many references between them."""

from typing import Any

from hypothesis import strategies as st

from asyncsdk._rules.language.operators import OPERATORS

GATES = [f"g{n}" for n in range(5)] + ["segment:s"]
EXPERIMENTS = [f"e{n}" for n in range(4)]
LAYERS = ["l0", "l1", "l2"]
WORDS = [
    "",
    "a",
    "A",
    "abc",
    "nl",
    "NL",
    "9",
    "10",
    "1.2.3",
    "true",
    "a@b.c",
    "2024-01-01T00:00:00Z",
    "Straße",
    "Group 1",
]
FIELDS = [
    "email",
    "userID",
    "country",
    "appVersion",
    "plan",
    "Plan",
    "level",
    "user_id",
    "locale",
    "tags",
    "os_name",
    "ip",
]
ID_TYPES = ["userID", "companyID", "stableID", "userid"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(WORDS),
    st.integers(-3, 1200),
    st.sampled_from([0.5, 9.0, 10.5, 1e21, 2**53 + 1]),
)
lists = st.lists(scalars, max_size=4)
targets = st.one_of(
    scalars,
    lists,
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=6),
    st.dictionaries(st.sampled_from(WORDS), st.just(True), max_size=3),
)
configs = st.dictionaries(st.sampled_from(["p", "q", "r", "s"]), st.one_of(scalars, lists), max_size=3)


@st.composite
def plain_conditions(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(
        st.sampled_from(
            ["user_field"] * 5
            + [
                "public",
                "user_bucket",
                "user_bucket",
                "unit_id",
                "environment_field",
                "ip_based",
                "ua_based",
                "target_app",
            ]
        )
    )
    target: Any = draw(targets)
    operator = draw(st.sampled_from(sorted(OPERATORS)))
    if kind == "user_bucket":
        operator = draw(st.sampled_from(["lt", "gt", "gte", "lte", "any", "none", "eq"]))
        target = draw(st.one_of(st.integers(0, 1000), st.lists(st.integers(0, 1000).map(str), max_size=500)))
    if operator == "str_matches":
        target = draw(st.sampled_from(["^a", "a.c$", "[0-9]+", "(?i)nl", "", "[", "^$", "\\d\\.\\d"]))
    return {
        "type": kind,
        "operator": operator,
        "targetValue": target,
        "field": "tier"
        if kind == "environment_field"
        else "country"
        if kind == "ip_based"
        else draw(st.sampled_from(FIELDS)),
        "additionalValues": {"salt": draw(st.sampled_from(["", "s", "x" * 70]))},
        "idType": draw(st.sampled_from(ID_TYPES)),
    }


def nested_conditions(gates: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda kind, gate: {
            "type": kind,
            "targetValue": gate,
            "operator": None,
            "field": None,
            "additionalValues": {},
            "idType": "userID",
        },
        st.sampled_from(["pass_gate", "fail_gate"]),
        st.sampled_from([*gates, "missing"]),
    )


UNKNOWN: list[dict[str, Any]] = [
    {
        "type": "mystery",
        "operator": "any",
        "targetValue": [],
        "field": "email",
        "additionalValues": {},
        "idType": "userID",
    },
    {
        "type": "user_field",
        "operator": "mystery",
        "targetValue": [],
        "field": "email",
        "additionalValues": {},
        "idType": "userID",
    },
]


@st.composite
def rules(draw: st.DrawFn, number: int, conditions: Any, values: Any, delegates: list[str]) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": f"r{number}",
        "name": f"r{number}",
        "passPercentage": draw(st.sampled_from([100, 100, 100, 0, 50, 33.33, 0.5])),
        "conditions": draw(st.lists(conditions, max_size=3)),
        "returnValue": draw(values),
        "idType": draw(st.sampled_from(ID_TYPES)),
    }
    salt = draw(st.sampled_from([None, "", "salt", "y" * 64]))
    if salt is not None:
        rule["salt"] = salt
    if draw(st.booleans()):
        rule |= {"groupName": f"Group {number}", "isExperimentGroup": draw(st.booleans())}
    if delegates and draw(st.booleans()):
        rule["configDelegate"] = draw(st.sampled_from([*delegates, "missing"]))
    return rule


@st.composite
def specs(
    draw: st.DrawFn, entity: str, conditions: Any, delegates: list[str], *, merges: bool = False
) -> dict[str, Any]:
    values = st.booleans() if entity == "feature_gate" else configs
    spec: dict[str, Any] = {
        "type": "feature_gate" if entity == "feature_gate" else "dynamic_config",
        "entity": entity,
        "salt": draw(st.sampled_from(["", "spec", "z" * 64])),
        "enabled": draw(st.sampled_from([True, True, True, False])),
        "defaultValue": draw(values),
        "rules": [draw(rules(number, conditions, values, delegates)) for number in range(draw(st.integers(0, 4)))],
        "idType": draw(st.sampled_from(ID_TYPES)),
        "version": draw(st.integers(0, 9)),
    }
    if entity == "experiment":
        spec |= {"isActive": draw(st.booleans()), "hasSharedParams": True, "explicitParameters": ["p", "q"]}
    if merges:
        spec["useNewLayerEval"] = True
    return spec


def condition_pool(gates: list[str], *, unknown: bool) -> Any:
    pools: list[Any] = [plain_conditions(), plain_conditions()]
    if gates:
        pools.append(nested_conditions(gates))
    if unknown:
        pools.append(st.sampled_from(UNKNOWN))
    return st.one_of(pools)


@st.composite
def rulesets(draw: st.DrawFn, *, cyclic: bool = False, unknown: bool = False) -> dict[str, Any]:
    """A ruleset of the newer format (v2).

    Args:
        draw: Hypothesis passes it.
        cyclic: Gates may depend on any gate; otherwise on earlier gates only.
        unknown: Conditions may have an unknown type or operator.
    """
    gates = {
        name: draw(
            specs(
                "segment" if ":" in name else "feature_gate",
                condition_pool(GATES if cyclic else GATES[:index], unknown=unknown),
                [],
            )
        )
        for index, name in enumerate(GATES)
    }
    for gate in gates.values():
        gate["type"] = "feature_gate"
        gate["defaultValue"] = draw(st.booleans())
        for rule in gate["rules"]:
            rule["returnValue"] = draw(st.booleans())
    pool = condition_pool(GATES, unknown=unknown)
    experiments = {
        name: draw(specs("experiment" if name != "e0" else "dynamic_config", pool, [])) for name in EXPERIMENTS
    }
    layers = {name: draw(specs("layer", pool, EXPERIMENTS, merges=name == "l2")) for name in LAYERS}
    body: dict[str, Any] = {
        "has_updates": True,
        "time": 1_700_000_000_000,
        "company_id": "c",
        "response_format": "dcs-v2",
        "feature_gates": gates,
        "dynamic_configs": experiments,
        "layer_configs": layers,
        "condition_map": {},
        "experiment_to_layer": dict.fromkeys(EXPERIMENTS, "l0"),
    }
    for section in (gates, experiments, layers):
        for spec in section.values():
            for rule in spec["rules"]:
                rule["conditions"] = [_intern(body["condition_map"], condition) for condition in rule["conditions"]]
    return body


def _intern(table: dict[str, Any], condition: dict[str, Any]) -> str:
    for key, known in table.items():
        if repr(known) == repr(condition):
            return key
    key = f"k{len(table)}"
    table[key] = condition
    return key


@st.composite
def users(draw: st.DrawFn) -> dict[str, Any]:
    """A user by wire names."""
    fields: dict[str, Any] = {"userID": draw(st.sampled_from(["", "u1", "u2", "user three", "9", "ü"]))}
    for name in ("email", "country", "locale", "appVersion"):
        if draw(st.booleans()):
            fields[name] = draw(st.sampled_from(WORDS))
    if draw(st.booleans()):
        fields["ip"] = draw(st.sampled_from(["1.2.3.4", "24.48.0.1", "8.8.8.8", "::1", "junk", ""]))
    if draw(st.booleans()):
        fields["userAgent"] = draw(st.sampled_from(["Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)", "axios/1", ""]))
    custom = st.dictionaries(st.sampled_from(FIELDS), st.one_of(scalars, lists), max_size=4)
    fields["custom"] = draw(custom)
    fields["privateAttributes"] = draw(custom)
    fields["customIDs"] = draw(
        st.dictionaries(
            st.sampled_from(["companyID", "companyid", "stableID"]), st.sampled_from(["c1", "", "9"]), max_size=2
        )
    )
    if draw(st.booleans()):
        fields["statsigEnvironment"] = {"tier": draw(st.sampled_from(WORDS))}
    return fields
