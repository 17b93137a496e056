"""The downloads of the imitated Statsig: rules, and all evaluations for one user."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

import asyncsdk.dev
from asyncsdk.dev.messages import IncomingRequest, Reply
from asyncsdk.dev.ruleset_versions import next_version
from asyncsdk.dev.statsig_rules import StatsigRulesServer
from dev.rulesets import OFF, ON, as_bytes, rule, ruleset, spec

SPECS = "/v2/download_config_specs/secret-1.json"


def serving(value: Any = ON, **options: Any) -> StatsigRulesServer:
    server = StatsigRulesServer(**options)
    server.served.version = next_version(as_bytes(value), None)
    return server


def ask(server: StatsigRulesServer, path: str = SPECS, *, method: str = "GET", body: Any = None, **query: str) -> Reply:
    route = server.route(method, path)
    assert route is not None
    raw = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
    headers = {"statsig-api-key": "secret-1", "host": "dev:1"}
    return route.handle(IncomingRequest(method, path, query, headers, raw, now=1.5))


def decoded_body(reply: Reply) -> Any:
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    return orjson.loads(reply.body)


@pytest.mark.parametrize("path", [SPECS, "/v2/download_config_specs", "/v2/download_config_specs/secret-1"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_rules_are_served(method: str, path: str) -> None:
    assert decoded_body(ask(serving(), path, method=method)).items() >= ON.items()


def test_format_v1_has_lists() -> None:
    found = decoded_body(ask(serving(), "/v1/download_config_specs/secret-1.json"))

    assert [gate["name"] for gate in found["feature_gates"]] == ["new_checkout"]
    assert found["time"] == 1000


@pytest.mark.parametrize(
    ("query", "has_updates"),
    [
        ({}, True),
        ({"sinceTime": "0"}, True),
        ({"sinceTime": "999"}, True),
        ({"sinceTime": "1000"}, False),
        ({"sinceTime": "1001"}, False),
        ({"sinceTime": "1000", "checksum": "c-1"}, False),
        ({"sinceTime": "999", "checksum": "c-1"}, False),
        ({"sinceTime": "1000", "checksum": "c-2"}, True),
        ({"checksum": "c-1"}, True),
        ({"sinceTime": "soon"}, True),
        ({"sinceTime": "9" * 5000}, True),
    ],
)
def test_a_client_gets_only_a_version_that_it_lacks(query: dict[str, str], has_updates: bool) -> None:
    server = serving(ON | {"checksum": "c-1"})

    assert decoded_body(ask(server, **query))["has_updates"] is has_updates
    assert decoded_body(ask(server, method="POST", body=query))["has_updates"] is has_updates


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_an_invalid_body_requests_everything(body: bytes) -> None:
    assert decoded_body(ask(serving(), method="POST", body=body))["has_updates"] is True


def test_a_new_project_has_no_names() -> None:
    assert (
        decoded_body(ask(StatsigRulesServer())).items() >= {"has_updates": True, "feature_gates": {}, "time": 1}.items()
    )
    assert decoded_body(ask(StatsigRulesServer(), "/v1/initialize", method="POST"))["feature_gates"] == {}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", SPECS, 405),
        ("GET", "/v1/initialize", 405),
        ("GET", "/v2/download_config_specs/secret-2.json", 401),
        ("POST", "/v1/get_id_lists/secret-2.json", 401),
        ("GET", "/v1/download_id_list_file/unknown", 404),
    ],
)
def test_invalid_requests_are_rejected(method: str, path: str, status: int) -> None:
    reply = ask(serving(keys={"secret-1"}), path, method=method)

    assert reply.status == status
    assert orjson.loads(reply.body)["success"] is False


def test_a_key_is_needed() -> None:
    route = serving().route("POST", "/v1/initialize")

    assert route is not None
    assert route.handle(IncomingRequest("POST", "/v1/initialize")).status == 401
    assert route.handle(IncomingRequest("POST", "/v1/initialize", {"k": "client-1"})).status == 200


def test_other_paths_are_not_its_own() -> None:
    assert StatsigRulesServer().route("POST", "/v1/log_event") is None


# Client-initialize responses.

USER_RULES = ruleset(
    {"new_checkout": spec(rule(["ada"], name="for ada"))},
    {"prices": spec(rule(["all"], {"teapot": 19.95}), default={}, entity="dynamic_config")},
)


def start(server: StatsigRulesServer, **body: Any) -> Any:
    return decoded_body(ask(server, "/v1/initialize", method="POST", body={"hash": "none", **body}))


def test_a_client_gets_all_evaluations_of_its_user() -> None:
    found = start(serving(USER_RULES), user={"userID": "ada", "privateAttributes": {"age": 36}})

    gate, prices = found["feature_gates"]["new_checkout"], found["dynamic_configs"]["prices"]
    assert (gate["value"], gate["rule_id"]) == (True, "for ada")
    assert prices["value"] == {"teapot": 19.95}
    assert (found["has_updates"], found["time"], found["generated_at"]) == (True, 1000, 1500)
    assert found["user"] == {"userID": "ada"}


@pytest.mark.parametrize(
    ("user", "value"), [({"userID": "ada"}, True), ({"userID": "bob"}, False), ({"userID": 3}, False), ("ada", False)]
)
def test_the_response_depends_on_the_user(user: Any, value: bool) -> None:
    assert start(serving(USER_RULES), user=user)["feature_gates"]["new_checkout"]["value"] is value


@pytest.mark.parametrize(
    ("name", "hashed"), [("none", "a"), ("djb2", "97"), ("sha256", "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=")]
)
def test_names_are_hashed_as_requested(name: str, hashed: str) -> None:
    server = serving(ruleset({"a": spec(rule(["all"]))}))

    assert list(start(server, hash=name)["feature_gates"]) == [hashed]


def test_a_client_with_the_current_version_gets_no_updates() -> None:
    assert start(serving(USER_RULES), sinceTime=1000) == {"has_updates": False}


def test_a_client_gets_the_current_rules_and_lists() -> None:
    member = {"type": "unit_id", "idType": "userID", "operator": "in_segment_list", "targetValue": "regulars"}
    server = serving(ruleset({"g": spec(rule(["member"]))}, condition_map={"member": member}))

    def passes() -> bool:
        return bool(start(server, user={"userID": "ada"})["feature_gates"]["g"]["value"])

    answers = [passes()]
    server.served.set_id_list("regulars", ["ada"], 1)
    answers.append(passes())
    server.served.append_id_list("regulars", [], ["ada"])
    answers.append(passes())
    server.served.version = next_version(as_bytes(ruleset({"g": spec(default=True)})), server.served.version)
    answers.append(passes())

    assert answers == [False, True, False, True]


# Versions.


def test_the_same_bytes_are_the_same_version() -> None:
    first = next_version(as_bytes(ON), None)

    assert next_version(as_bytes(ON), first) is first


@pytest.mark.parametrize(
    ("own", "not_before", "served"),
    [(2000, 0, 2000), (1000, 0, 1001), (999, 0, 1001), (None, 0, 1001), (1500, 3000, 3000)],
)
def test_each_version_is_later_than_the_one_before(own: int | None, not_before: int, served: int) -> None:
    first = next_version(as_bytes(ON), None)

    second = next_version(as_bytes(OFF | {"time": own}), first, not_before)

    assert (first.time, second.time) == (1000, served)
    assert orjson.loads(second.body("v1"))["time"] == orjson.loads(second.body("v2"))["time"] == served


def test_an_unchanged_checksum_is_replaced() -> None:
    first = next_version(as_bytes(ON | {"checksum": "c"}), None)
    second = next_version(as_bytes(OFF | {"checksum": "c"}), first)
    third = next_version(as_bytes(ON | {"checksum": "d"}), second)

    assert (first.checksum, third.checksum) == ("c", "d")
    assert second.checksum not in ("", "c")


# The dev server is independent of asyncsdk's own code, except for one module.


def test_only_initialize_uses_code_of_asyncsdk() -> None:
    for path in sorted(Path(asyncsdk.dev.__file__).parent.glob("*.py")):
        modules = re.findall(r"^(?:from|import) (asyncsdk\S*)", path.read_text(), re.MULTILINE)
        others = {name for name in modules if not name.startswith("asyncsdk.dev") and name != "asyncsdk.errors"}

        assert not others or path.name == "initialize.py", path.name
