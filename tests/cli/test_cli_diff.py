"""`asyncsdk diff`: who gets another group or value, and why."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rules.oracle import Oracle
from rules.rulesets import loaded, make_context

from asyncsdk._rules.ruleset import KINDS, Ruleset
from asyncsdk.cli import main
from asyncsdk.cli._users import NamedUser, read_user
from asyncsdk.cli.diff.compare import plan
from asyncsdk.cli.diff.tasks import Circumstances
from cli.diff_rules import NAMES, OLD, USERS, edited, with_segment

CHECKOUT = ("feature_gates", "checkout", 2, "passPercentage", 100)


class Files:
    """The two rulesets and the users as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("old.json", orjson.dumps(OLD))
        self.write("users.ndjson", b"\n".join(map(orjson.dumps, USERS)) + b"\n")

    def write(self, name: str, body: bytes | dict[str, Any]) -> str:
        path = self.folder / name
        path.write_bytes(body if isinstance(body, bytes) else orjson.dumps(body))
        return str(path)

    def diff(self, new: bytes | dict[str, Any], *more: str, users: str = "users.ndjson") -> int:
        paths = str(self.folder / "old.json"), self.write("new.json", new)
        return main(["diff", *paths, "--users", str(self.folder / users), *more])


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def users(count: int = len(USERS)) -> list[NamedUser]:
    return [NamedUser(str(fields["userID"]), read_user(fields)) for fields in USERS[:count]]


def rules(project: dict[str, Any], context: Any) -> Ruleset:
    return loaded(orjson.dumps(project), context)


def changes(old: dict[str, Any], new: dict[str, Any], count: int = len(USERS)) -> dict[str, set[str]]:
    """Return the users whose result changes, by name, as the command finds them."""
    context = make_context()
    planned = plan((rules(old, context), rules(new, context)), users(count), lambda _: True, count)
    diff = planned.run(Circumstances(0), 1, lambda _: None)
    return {name.name: {example.user for example in name.examples} for name in diff.names if name.users}


# --- answers --------------------------------------------------------------------------------------------------


def seen_by_core(project: dict[str, Any]) -> dict[tuple[str, str], Any]:
    oracle, found = Oracle(orjson.dumps({key: part for key, part in project.items() if key != "param_stores"})), {}
    for user in USERS:
        response = oracle.response(user)
        for section in ("feature_gates", "dynamic_configs", "layer_configs"):
            for name, one in response[section].items():
                found[user["userID"], name] = one["value"], one.get("group_name"), one.get("allocated_experiment_name")
    oracle.close()
    return found


@pytest.mark.oracle
@pytest.mark.parametrize(
    "new",
    [
        edited(CHECKOUT),
        edited(("feature_gates", "holdout", 0, "passPercentage", 60)),
        edited(("dynamic_configs", "button", 1, "returnValue", {"color": "pink"})),
        edited(("feature_gates", "staff", 0, "returnValue", False), ("layer_configs", "home", 0, "configDelegate", "")),
        with_segment(["US"]),
    ],
    ids=["share", "holdout", "value", "two", "segment"],
)
def test_its_answers_equal_cores(new: dict[str, Any]) -> None:
    before, after = seen_by_core(OLD), seen_by_core(new)

    theirs: dict[str, set[str]] = {}
    for (user, name), result in before.items():
        if result != after[user, name]:
            theirs.setdefault(name, set()).add(user)

    assert theirs
    assert changes(OLD, new) == theirs


_EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("feature_gates"), st.sampled_from(sorted(OLD["feature_gates"])), st.just(0), st.just("passPercentage"), st.sampled_from([0, 30, 100])),
        st.tuples(st.just("feature_gates"), st.sampled_from(sorted(OLD["feature_gates"])), st.just(0), st.just("returnValue"), st.booleans()),
        st.tuples(st.just("dynamic_configs"), st.sampled_from(["button", "prices"]), st.just(0), st.just("conditions"), st.sampled_from([[*OLD["condition_map"]][:1], ["missing"], []])),
        st.tuples(st.just("layer_configs"), st.just("home"), st.just(0), st.just("configDelegate"), st.sampled_from(["prices", "gone"])),
    ),
    max_size=3,
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(_EDITS)
def test_what_it_skips_is_equal(edits: list[Any]) -> None:
    new, context = edited(*edits), make_context()
    old_rules, new_rules = rules(OLD, context), rules(new, context)

    slowly: dict[str, set[str]] = {}
    for one in users(20):
        for kind in KINDS:
            for name in OLD[{"gate": NAMES[0], "layer": NAMES[2]}.get(kind, NAMES[1])]:
                both = [found.lookup(kind, one.user, name) for found in (old_rules, new_rules)]
                told = [(each.value, each.group_name, each.allocated_experiment) for each in both]
                if kind in old_rules.kinds_of(name) and "entity" not in name and told[0] != told[1]:
                    slowly.setdefault(name, set()).add(one.label)

    inner = {"segment:dutch", "holdout"}
    assert changes(OLD, new, 20) == {name: them for name, them in slowly.items() if name not in inner}


# --- what it prints -------------------------------------------------------------------------------------------


def test_equal_rules_change_nothing_and_exit_with_0(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.diff(OLD) == 0

    expected = "No user gets another value or group (8 names, 120 users compared).\n"
    assert tuple(capsys.readouterr()) == (expected, "")


def test_a_change_exits_with_1_and_says_who_and_why(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.diff(edited(CHECKOUT), "--show", "1") == 1

    out = capsys.readouterr().out
    assert "users of 120 get another value or group of 1 name (8 names, 120 users compared)." in out
    assert "closed -> open" in out
    assert "old  closed; rule rest: everyone and bucket" in out
    assert "new  open; rule rest: everyone" in out


def test_a_change_of_a_gate_that_is_asked_for_names_it(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.diff(edited(("feature_gates", "staff", 0, "returnValue", False))) == 1

    assert "beta (gate, through gate staff)" in capsys.readouterr().out


def test_json_has_both_sides_of_each_example(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.diff(edited(("dynamic_configs", "button", 1, "returnValue", {"color": "pink"})), "--json") == 1

    found = json.loads(capsys.readouterr().out)
    button = next(one for one in found["names"] if one["name"] == "button")
    assert button["transitions"][0] | {"users": 0} == {"old": '{"color":"blue"}', "new": '{"color":"pink"}', "users": 0}
    example = button["examples"][0]
    assert (example["old"]["group"], example["new"]["value"]) == ("Control", {"color": "pink"})
    assert found["changed_users"] >= button["users"] > len(button["examples"]) == 3


def test_names_limits_what_is_compared(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.diff(edited(CHECKOUT), "--names", "b*", "--names", "home") == 0

    assert "(3 names, 120 users compared)" in capsys.readouterr().out


def test_a_name_that_is_new_or_gone_is_listed_even_if_nobody_gets_another_value(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    new = edited()
    new["feature_gates"]["later"] = new["feature_gates"].pop("quiet")

    assert files.diff(new) == 0

    out = " ".join(capsys.readouterr().out.split())
    assert "later gate 0 0.0% added; the same value for all" in out
    assert "quiet gate 0 0.0% removed; the same value for all" in out


def test_a_parameter_store_that_refers_to_something_else_changes(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    new = edited()
    new["param_stores"]["store"]["parameters"]["hue"]["value"] = 2

    assert files.diff(new) == 1

    assert '{"hue":1} -> {"hue":2}' in capsys.readouterr().out


def test_a_parameter_store_with_the_same_values_does_not_change(files: Files) -> None:
    new = edited()
    new["param_stores"]["store"]["note"] = "edited"

    assert files.diff(new) == 0


def test_many_transitions_are_cut_short(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    new = edited()
    new["dynamic_configs"]["prices"]["rules"] = [
        {**new["feature_gates"]["quiet"]["rules"][0], "id": user["userID"], "conditions": [user["userID"]], "returnValue": {"n": user["userID"]}}
        for user in USERS[:10]
    ]  # fmt: skip
    for user in USERS[:10]:
        new["condition_map"][user["userID"]] = {
            "type": "user_field",
            "operator": "any",
            "targetValue": [user["userID"]],
            "field": "userID",
        }

    assert files.diff(new, "--show", "0") == 1

    assert "and 3 more: see --json" in capsys.readouterr().out


def test_control_characters_of_rules_and_users_do_not_reach_the_terminal(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write("odd.ndjson", orjson.dumps({"userID": "u\x1b[2J", "country": "NL"}))
    new = edited(("dynamic_configs", "prices", 0, "returnValue", {"currency": "\x1b[31m\u202e"}))

    assert files.diff(new, users="odd.ndjson") == 1
    assert files.diff(new, "--json", users="odd.ndjson") == 1

    assert not set(capsys.readouterr().out) & {"\x1b", "\u202e"}


def test_it_warns_that_id_lists_count_as_empty(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    new = edited()
    next(iter(new["condition_map"].values()))["operator"] = "in_segment_list"

    files.diff(new)

    assert "ID lists, which count as empty" in capsys.readouterr().err


def test_a_layer_names_the_experiment_of_a_group(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.diff(edited(("layer_configs", "home", 0, "conditions", ["none"])), "--show", "0") == 1

    assert "Control of button -> " in capsys.readouterr().out


def test_rules_of_another_format_are_compared_in_full(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    old = {
        "feature_gates": [
            {"name": "on", "type": "feature_gate", "salt": "s", "enabled": True, "defaultValue": True, "rules": []}
        ]
    }
    files.write("old.json", old)
    new = {"feature_gates": {"on": old["feature_gates"][0]}, "dynamic_configs": {}, "condition_map": {}}

    assert files.diff(new) == 0

    assert "(1 name, 120 users compared)" in capsys.readouterr().out


def test_gates_in_a_cycle_are_compared_for_every_user(files: Files) -> None:
    new = edited(("feature_gates", "quiet", 0, "conditions", ["loop"]))
    new["condition_map"]["loop"] = {"type": "pass_gate", "targetValue": "quiet"}

    assert files.diff(new) == 0


def test_progress_counts_evaluations() -> None:
    done: list[int] = []
    context = make_context()

    planned = plan((rules(OLD, context), rules(edited(CHECKOUT), context)), users(), lambda _: True, 0)
    planned.run(Circumstances(0), 1, done.append)

    assert done == [planned.steps] == [len(USERS)]


# --- users ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "label"),
    [
        (b'{"user_id": "a", "custom": {}}\n\n', "a"),
        (b'[{"userID": 7}]', "7"),
        (b'{"ada": {"userID": "1", "country": "NL"}}', "ada"),
        (b'{"customIDs": {"org": "o1"}}', "o1"),
        (b'{"country": "NL"}', "users.x:1"),
        (b'\xef\xbb\xbf{"userID": "bom", "email": null}', "bom"),
    ],
)
def test_users_are_read_in_each_form(files: Files, body: bytes, label: str, capsys: pytest.CaptureFixture[str]) -> None:
    files.write("users.x", body)

    code = files.diff(edited(("feature_gates", "quiet", 0, "conditions", [])), "--json", users="users.x")

    (found,) = json.loads(capsys.readouterr().out)["names"]
    assert (code, found["name"], found["examples"][0]["user"].rpartition("/")[2]) == (1, "quiet", label)


def test_users_come_from_standard_input(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"userID": "a"}')))
    old = str(files.folder / "old.json")

    assert main(["diff", old, old, "--users", "-"]) == 0


# --- bad input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "it has no users"),
        (b'{"userID": "a"}\n{"userID": ', "users.x:2: not JSON"),
        (b'[{"userID": "a"}, 3]', "user 2: a user is an object"),
        (b'{"userID": "a", "plan": "pro"}', "no field 'plan'"),
        (b'{"userID": "a", "custom": 3}', "this is not a user"),
        (b'{"ada": {"age": 3}}', "users.x, ada: a user has no field 'age'"),
    ],
)
def test_bad_users_are_one_line_and_exit_code_2(
    files: Files, body: bytes, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write("users.x", body)

    assert files.diff(OLD, users="users.x") == 2

    captured = capsys.readouterr()
    assert problem in captured.err
    assert captured.err.startswith("asyncsdk diff: ")
    assert (captured.err.count("\n"), captured.out) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--users", "gone.ndjson"], "gone.ndjson: No such file"),
        (["--names", "xyz"], "--names xyz: no ruleset has such a name"),
        (["--show", "-1"], "--show is a number of users"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(
    files: Files, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert files.diff(OLD, *arguments) == 2

    assert problem in (err := capsys.readouterr().err)
    assert err.count("\n") == 1


def test_a_file_without_rules_is_one_line_and_exit_code_2(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.diff(b'{"no": "rules"}') == 2

    assert "new.json: not a ruleset" in capsys.readouterr().err
