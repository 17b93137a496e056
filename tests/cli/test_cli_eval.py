"""`asyncsdk eval`: one name for one user."""

import json
from copy import deepcopy
from pathlib import Path

import orjson
import pytest
from helpers import rule, ruleset, spec

from asyncsdk.cli import main
from asyncsdk.dev import DevServer
from cli.diff_rules import OLD

DUTCH = '{"userID": "u1", "country": "NL", "email": "a@shop.example", "privateAttributes": {"age": 41}}'


@pytest.fixture
def rules(tmp_path: Path) -> str:
    path = tmp_path / "rules.json"
    path.write_bytes(orjson.dumps(OLD))
    return str(path)


def test_a_gate_is_open_by_a_rule(rules: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "staff", "--user", DUTCH, "--rules", rules]) == 0

    out = capsys.readouterr().out
    assert out.startswith("staff (gate): open\n")
    assert 'why     rule mail: email "a@shop.example" str_ends_with_any' in out


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("quiet", "gate", False),
        ("prices", "config", {"currency": "EUR"}),
        ("button", "experiment", {"color": "red"}),
        ("home", "layer", {"color": "red"}),
        ("store", "parameter_store", {"hue": 1}),
    ],
)
def test_json_has_the_value_of_each_kind(
    rules: str, name: str, kind: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", name, "--user", DUTCH, "--rules", rules, "--json", "--kind", kind]) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["value"]) == (kind, value)


def test_explain_shows_the_tree(rules: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "checkout", "--user", DUTCH, "--rules", rules, "--explain"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("checkout: open (rule dutch")
    assert any("pass_gate holdout" in line for line in lines)


def test_explain_is_a_tree_in_json_too(rules: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["eval", "beta", "--user", DUTCH, "--rules", rules, "--explain", "--json"])

    (rule,) = json.loads(capsys.readouterr().out)["explanation"]
    assert (rule["kind"], rule["holds"], rule["steps"][0]["text"]) == ("rule", True, "pass_gate staff")


def test_a_bare_user_id_is_a_user(rules: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "button", "--user", "u1", "--rules", rules, "--environment", "staging"]) == 0

    assert "group   Test" in capsys.readouterr().out


@pytest.mark.parametrize(("options", "shown"), [([], "closed"), (["--environment", "staging"], "open")])
def test_the_environment_is_the_rules_own_unless_it_is_named(
    tmp_path: Path, options: list[str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tier = {"type": "environment_field", "field": "tier", "operator": "any", "targetValue": ["staging"]}
    gates = {"new": spec("feature_gate", False, rule("staging", True, "staging"))}
    (tmp_path / "rules.json").write_bytes(ruleset(condition_map={"staging": tier}, feature_gates=gates))
    main(["eval", "new", "--user", "u1", "--rules", str(tmp_path / "rules.json"), *options])

    out, err = capsys.readouterr()
    assert out.startswith(f"new (gate): {shown}\n")
    assert "ID lists" not in err


def test_id_lists_that_count_as_empty_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vip = {"type": "unit_id", "operator": "in_segment_list", "targetValue": "vips", "idType": "userID"}
    gates = {"new": spec("feature_gate", False, rule("vip", True, "vip"))}
    (tmp_path / "rules.json").write_bytes(ruleset(condition_map={"vip": vip}, feature_gates=gates))
    main(["eval", "new", "--user", "u1", "--rules", str(tmp_path / "rules.json")])

    assert "the rules ask for ID lists" in capsys.readouterr().err


def test_a_layer_names_the_experiment_that_decides_and_its_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules.json").write_bytes(ruleset())
    main(["eval", "page", "--user", "u1", "--rules", str(tmp_path / "rules.json")])

    assert "; experiment button: rule green" in capsys.readouterr().out


def test_a_dev_server_is_a_source(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with DevServer(ruleset=orjson.dumps(OLD)) as server:
        monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)

        assert main(["eval", "staff", "--user", DUTCH]) == 0

    assert capsys.readouterr().out.startswith("staff (gate): open\n")


def test_a_name_of_two_kinds_needs_the_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, path = deepcopy(OLD), tmp_path / "rules.json"
    project["feature_gates"]["home"] = project["feature_gates"]["staff"]
    next(iter(project["condition_map"].values()))["operator"] = "in_segment_list"
    path.write_bytes(orjson.dumps(project))

    assert main(["eval", "home", "--user", "u1", "--rules", str(path)]) == 2
    assert main(["eval", "home", "--user", "u1", "--rules", str(path), "--kind", "gate"]) == 0

    captured = capsys.readouterr()
    assert "pass --kind layer or --kind gate" in captured.err
    assert "ID lists, which count as empty" in captured.err
    assert captured.out.startswith("home (gate): ")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["chekout", "--user", "u1"], "the rules have no 'chekout'; did you mean checkout?"),
        (["zzz", "--user", "u1"], "the rules have no 'zzz'"),
        (["staff", "--user", "u1", "--kind", "layer"], "'staff' is no layer, but a gate"),
        (["staff", "--user", "{"], "--user is not JSON"),
        (["staff", "--user", '{"plan": 1}'], "a user has no field 'plan'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    rules: str, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", *arguments, "--rules", rules]) == 2

    assert problem in (err := capsys.readouterr().err)
    assert err.count("\n") == 1
