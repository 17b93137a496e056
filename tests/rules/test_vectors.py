"""Compares with recorded results of the vendor: each operator cell, 200 users of two projects, client responses."""

from base64 import b64decode
from pathlib import Path
from typing import Any

import orjson
import pytest

from asyncsdk import Client, Rules, Statsig
from asyncsdk._model.users import User
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.exposures import exposures_to_json
from asyncsdk._rules.language.buckets import bucketer, djb2, id_list_key
from asyncsdk._rules.language.operators import OPERATORS
from asyncsdk._rules.language.user_agent import parse
from asyncsdk._rules.language.values import as_instant, as_integer, as_number, as_object, as_text
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._rules.sticky import Enforcement, assign
from rules.rulesets import Json, compile_all, experiment, gate, loaded, make_context, ruleset, user

_KINDS = {"dynamic_config": "config"}
LISTED = {id_list_key(unit) for unit in ("abc", "9", "u", "true", "10")}


def read(path: Path) -> Any:
    return orjson.loads(path.read_bytes())


@pytest.fixture(scope="module")
def recorded(vectors: Path) -> Path:
    folder = vectors / "statsig"
    return folder if folder.is_dir() else vectors


def test_every_cell_of_the_operator_matrix(recorded: Path) -> None:
    matrix = read(recorded / "synthetic_operator_matrix.json")
    wrong = []
    for row in matrix["rows"]:
        operator = OPERATORS[row["operator"]]
        target = operator.prepare(row["target"])
        if "segment" in row["operator"] and row["target"] == "list_a":
            target = lambda unit: id_list_key(unit) in LISTED  # noqa: E731
        for value, expected in zip(matrix["values"], row["results"], strict=True):
            if operator.test(None if value == "__missing__" else value, target) is not bool(expected):
                wrong.append((row["operator"], row["target"], value))

    assert wrong == []


@pytest.mark.parametrize("project", ["eval_proj", "demo_proj"])
def test_every_name_for_200_users(recorded: Path, project: str) -> None:
    rules = loaded((recorded / "core" / f"{project}_dcs.json").read_bytes())
    expected = read(recorded / f"expected_core_{project}_users200.json")
    wrong = []
    for fields, row in zip(read(recorded / "users_200.json"), expected["results"], strict=True):
        one = user(fields)
        for (title, known), answer in zip(expected["names"].items(), row, strict=True):
            kind, name = title.split(":", 1)
            found = rules.lookup(_KINDS.get(kind, kind), one, name)  # type: ignore[arg-type]
            value, rule_id, group, version, exposures, allocated = answer
            wanted = (known["values"][value], rule_id, None if kind == "gate" else group, version, allocated)
            shown = known["exposures"][exposures]
            if wanted != _shown(found) or (shown is not None and shown not in _exposed(found)):
                wrong.append((fields, title))

    assert wrong == []


def _shown(found: Evaluation) -> tuple[Any, ...]:
    group = None if found.is_gate else found.group_name
    return found.value, found.rule_id, group, found.version, found.allocated_experiment


def _exposed(found: Evaluation) -> tuple[Any, ...]:
    own = exposures_to_json(found.secondary)
    return own, [own, own if found.undelegated is None else exposures_to_json(found.undelegated)]


def test_whole_client_responses(recorded: Path) -> None:
    rules = loaded((recorded / "core/eval_proj_dcs.json").read_bytes(), make_context(environment={"tier": "staging"}))
    for case in read(recorded / "expected_gcir_eval_proj.json")["cases"]:
        for hash_name, expected in case["core"].items():
            view = client_view(rules, hash=hash_name)
            assert orjson.loads(client_response(view, user(case["user"]), expected["sdkInfo"])) == expected


def expectations(recorded: Path) -> Json:
    found: Json = read(recorded / "expected_from_tests.json")
    return found


def test_the_sdks_own_expectations_of_evaluations(recorded: Path) -> None:
    wrong = []
    rulesets: dict[tuple[str, str | None, str], Ruleset] = {}
    for case in expectations(recorded)["evaluations"]:
        lists = _lists(recorded) | {
            name: {b64decode(line[1:]) for line in text.split()} for name, text in case.get("id_lists", {}).items()
        }
        key = (case["ruleset"], case["env"], str(lists))
        if key not in rulesets:
            environment = None if case["env"] is None else {"tier": case["env"]}
            body = (recorded / case["ruleset"]).read_bytes()
            rulesets[key] = loaded(body, make_context(environment=environment, id_lists=lists))
        found = rulesets[key].lookup(case["kind"], user(case["user"]), case["name"])
        if not _agrees(found, case["expect"]):
            wrong.append((case, found))

    assert rulesets
    assert wrong == []


def _lists(recorded: Path) -> dict[str, set[bytes]]:
    lines = (recorded / "core/company_id_list").read_text().splitlines()
    return {"company_id_list": {b64decode(line[1:]) for line in lines if line.startswith("+")}}


def _agrees(found: Evaluation, expected: Json) -> bool:
    secondary = exposures_to_json(found.secondary)
    shown = {
        "value": found.value,
        "rule_id": found.rule_id,
        "group": found.group_name,
        "version": found.version,
        "id_type": found.id_type,
        "allocated": found.allocated_experiment or "",
        "explicit": list(found.explicit_parameters or ()),
        "secondary": secondary,
        "secondary_first": next(iter(secondary), None),
        "undelegated": exposures_to_json(found.secondary if found.undelegated is None else found.undelegated),
        "param": [expected["param"][0], found.value.get(expected["param"][0])] if "param" in expected else None,
    }
    return expected == {key: shown[key] for key in expected}


def test_the_sdks_own_expectations_of_values(recorded: Path) -> None:
    views = {"int": as_integer, "float": as_number, "timestamp": as_instant, "string": as_text, "object": as_object}
    for case in expectations(recorded)["dynamic_values"]:
        for name, view in views.items():
            if name in case:
                assert view(case["value"]) == case[name], (case, name)
        assert case.keys() - views.keys() <= {"value", "bool"}
        assert ("bool" in case) <= (case.get("bool") is None and not isinstance(case["value"], bool))


async def test_the_sdks_own_expectations_of_reasons(recorded: Path) -> None:
    """During the start, awaited lookups wait; the others have the reason `Uninitialized`."""
    expected = dict(expectations(recorded)["reasons"])
    found = {}
    client = Client(Statsig("secret-key", offline=True, rules=Rules(bootstrap=ruleset({"known": gate()}))))
    found["never initialized"] = client.bind("u").get_gate("known").details.reason
    async with client:
        found["initialized, name known, bootstrap"] = client.bind("u").get_gate("known").details.reason
        found["initialized, name unknown, bootstrap"] = client.bind("u").get_gate("unknown").details.reason
        client.override_gate("known", True)
        found["local override"] = client.bind("u").get_gate("known").details.reason
    async with Client(Statsig("secret-key", offline=True)) as client:
        found["initialize failed (no source)"] = client.bind("u").get_gate("known").details.reason
    saved = {"e": {"group_name": "Old"}}
    rules = loaded(ruleset({}, {"e": experiment()}))
    answer = assign(rules, "experiment", user({"userID": "u"}), rules.experiment(user({}), "e"), saved)
    found["sticky"] = rules.reason(answer.evaluation)

    assert found == {state: reason for state, reason in expected.items() if not reason.startswith("Loading")}


def test_the_sdks_own_expectations_of_apps(recorded: Path) -> None:
    known = expectations(recorded)["gcir_target_apps"]
    sections = ("feature_gates", "dynamic_configs", "layer_configs", "param_stores")
    rules = loaded((recorded / known["ruleset"]).read_bytes())
    for option in known["options"]:
        shown = _seen_by(rules, client_key=option.get("client_sdk_key"), app=option.get("target_app_id"))
        ending = option["expect"].removeprefix("only *") if option["expect"].startswith("only") else ""
        for section, names in zip(sections, known["all"].values(), strict=True):
            assert set(shown[section]) == {name for name in names if name.endswith(ending)}, option

    hashed = loaded((recorded / "core/dcs_target_app_filtering_hashed_keys.json").read_bytes())
    shown = _seen_by(hashed, client_key="client-hashed-key")
    assert shown["feature_gates"]
    assert all(name.endswith("_app_b") for section in sections for name in shown[section])


def _seen_by(rules: Ruleset, **client: Any) -> Json:
    found: Json = orjson.loads(client_response(client_view(rules, hash="none", **client), User("u"), {}))
    return found


def test_the_sdks_own_expectations_of_parts(recorded: Path) -> None:
    known = expectations(recorded)

    for case in known["operators"]:
        operator = OPERATORS[case["operator"]]
        assert operator.test(case["value"], operator.prepare(case["target"])) is case["expect"], case
    for case in known["hashes"]:
        if "." in case["input"]:
            salt, unit = case["input"].rsplit(".", 1)
            assert bucketer(salt, 10_000)(unit) == case["mod_10000"]
            assert bucketer(salt, 1000)(unit) == case["mod_1000"]
    assert [str(djb2(case["input"])) for case in known["djb2"]] == [case["djb2"] for case in known["djb2"]]
    assert [id_list_key(case["unit"]) for case in known["id_list_entries"]] == [
        b64decode(case["list_entry"]) for case in known["id_list_entries"]
    ]


def test_the_sdks_own_user_agents(recorded: Path) -> None:
    names = {
        "osName": "os_name",
        "osVersion": "os_version",
        "browserName": "browser_name",
        "browserVersion": "browser_version",
    }
    for case in expectations(recorded)["user_agents_first_party"]:
        found = parse(case["ua"])
        assert {key: getattr(found, names[key]) for key in case["expect"]} == case["expect"]
    for line in (recorded / "core/test_must_pass_user_agents.txt").read_text().splitlines()[1:]:
        agent, *columns = line.split("|")
        expected = tuple("Other" if columns[place] == "None" else columns[place] for place in (0, 5))
        found = parse(agent)
        assert found is not None
        assert (found.os_name, found.browser_name) == expected


def test_the_sdks_own_sticky_cases(recorded: Path) -> None:
    known = expectations(recorded)["sticky"]
    name = known["experiment"]
    rules = loaded((recorded / known["ruleset"]).read_bytes())
    for case in known["cases"]:
        one, enforced = user(case["user"]), {key.removeprefix("enforce_"): on for key, on in case["options"].items()}
        live, saved = rules.experiment(one, name), {name: known["sticky_values"]}
        found = assign(rules, "experiment", one, live, saved, enforced=Enforcement(**enforced)).evaluation
        expected = case["expect"]
        assert found.group_name == expected["group"]
        assert found.rule_id == expected.get("rule_id", found.rule_id)
        assert found.value["exp_val"] == expected.get("exp_val", found.value["exp_val"])
        assert (rules.reason(found) == "Persisted") is (expected["reason"] == "Persisted")


@pytest.mark.parametrize(
    "path",
    ["legacy_python/dcs_plain_text", "node/rulesets_e2e_full_dcs.json", "legacy_python/download_config_specs.json"],
)
def test_the_v1_format_of_a_project_is_read_whole(recorded: Path, path: str) -> None:
    rules = loaded((recorded / path).read_bytes())
    compile_all(rules)

    found = [rules.gate(User("a"), name) for name in rules.names("feature_gates")]

    assert rules.is_inline
    assert sum(one.outcome != "Recognized" for one in found) <= len(found) // 20
