"""Comparison with Amplitude's published SDKs: what they send, and how their tests judge responses.

Every deliberate difference is in one of the tables here, with its reason.
"""

import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from asyncsdk._model.amplitude import Identify, Revenue
from asyncsdk._model.events import Event, Group, IdentifyEvent, Track, raw_event
from asyncsdk._model.users import User
from asyncsdk.errors import InvalidEventError
from asyncsdk.vendors._base import Response, Verdict
from asyncsdk.vendors.amplitude import Amplitude
from vendors.sample_events import event

AMPLITUDE = Amplitude("api-key")
ALPHA = User("user-alpha", device_id="device-1")
GOLDENS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "goldens" / "amplitude.json").read_bytes())["rows"]

# Fields that are not compared: (package, call, field).
NOT_COMPARED = {
    ("", "", "time"),  # each has its own
    ("", "", "insert_id"),
    ("", "", "library"),
    ("", "", "event_id"),  # a counter of the newer Node package, which starts again with every process
    ("@amplitude/node", "identify", "groups"),  # an empty object, sent with every identify
    ("@amplitude/node", "group", "device_id"),  # a random one, since that package has no user here
    ("@amplitude/node", "group", "user_id"),
}


def comparable(fields: dict[str, Any], package: str, call: str) -> dict[str, Any]:
    skipped = {field for of, verb, field in NOT_COMPARED if of in ("", package) and verb in ("", call)}
    return {name: value for name, value in fields.items() if name not in skipped}


def build(operations: list[Any] | None) -> Identify:
    identify = Identify()
    for name, *values in operations or []:
        getattr(identify, re.sub("([A-Z])", r"_\1", name).lower())(*values)
    return identify


def revenue(given: dict[str, Any]) -> Revenue:
    names = {"productId": "product_id", "revenueType": "revenue_type", "receiptSig": "receipt_sig"}
    names |= {"eventProperties": "properties"}
    return Revenue(**{names.get(name, name): value for name, value in given.items()})


def ours(call: str, given: Any) -> Event:
    if call == "log_event":
        return raw_event(given)
    if call == "identify":
        return IdentifyEvent(ALPHA, build(given))
    if call == "group":
        return Group(ALPHA, "acme", build(given), group_type="org")
    return Track(ALPHA, revenue(given))


@pytest.mark.parametrize("row", GOLDENS, ids=lambda row: f"{row['package']} {row['call']}")
def test_an_event_equals_what_the_node_packages_send(row: dict[str, Any]) -> None:
    package = row["package"].split()[0]
    theirs = comparable(row["event"], package, row["call"])
    if theirs.get("event_properties", {}).get("$productId") == "":
        del theirs["event_properties"]["$productId"]  # an absent product is left out here

    assert comparable(event(AMPLITUDE, ours(row["call"], row["given"])), package, row["call"]) == theirs


# --- builders against recorded ones ---------------------------------------------------------------------------------

# Sequences that raise here, and what the published builders do instead.
RAISES = {
    '[["add", "a", "12"]]': "ignored in silence",
    '[["add", "a", true]]': "ignored in silence; Python takes it for 1",
    '[["set", "a", null]]': "ignored in silence, a TypeError in old Node, sent by Python",
    '[["set", "a", [["x"]]]]': "ignored in silence",
    '[["remove", "a", [["x"]]]]': "sent: Node does not look at the values of remove",
    '[["set", "a", 1], ["add", "a", "bad"], ["set", "b", 2]]': "the bad one is ignored in silence",
    '[["set", "a", [["bad"]]], ["set", "a", "good"]]': "the bad one is ignored in silence",
}
# Sequences whose result differs from the newest Node package's, which refuses booleans in lists as the only one.
DIFFERS = {'[["set", "a", [true]]]': {"$set": {"a": [True]}}}


def test_builders_equal_the_published_ones(vectors: Path) -> None:
    rows = json.loads((vectors / "amplitude" / "identify.oracle.json").read_bytes())["rows"]

    for row in rows:
        operations = json.dumps(row["input"])
        if operations not in RAISES:
            identify = build(row["input"])
            assert identify.user_properties == DIFFERS.get(operations, row["ts"]), operations
            assert identify.group_properties == row["node_group"], operations


@pytest.mark.parametrize("operations", RAISES)
def test_a_value_that_the_published_builders_would_drop_raises(operations: str) -> None:
    with pytest.raises(InvalidEventError, match=r"`a.*` (must be|is a list in a list)"):
        build(json.loads(operations))


def test_revenue_equals_the_published_builders(vectors: Path) -> None:
    rows = json.loads((vectors / "amplitude" / "revenue.oracle.json").read_bytes())["rows"]

    for row in rows:
        given = {"eventProperties" if name == "properties" else name: value for name, value in row["input"].items()}
        quantity = given.get("quantity", 1)
        if not isinstance(quantity, int) or quantity <= 0:
            # The Node builder ignores or sends an invalid quantity; the Python builder loses the event.
            with pytest.raises(InvalidEventError):
                revenue(given)
        else:
            assert revenue(given).event_properties == row["python"]["event_properties"], given


@pytest.mark.oracle
def test_builders_equal_the_python_package_s_own() -> None:
    published = pytest.importorskip("amplitude")
    theirs = published.Identify()
    for name, *values in (
        ("set", "a", "text"), ("set_once", "b", {"c": [1, 2]}), ("add", "d", -1.5), ("append", "e", ["x", "y"]),
        ("prepend", "f", 2), ("pre_insert", "g", "z"), ("post_insert", "h", ["w"]), ("remove", "i", "v"), ("unset", "j"),
    ):  # fmt: skip
        getattr(theirs, name)(*values)
    mine = Identify().set("a", "text").set_once("b", {"c": [1, 2]}).add("d", -1.5).append("e", ["x", "y"])
    mine.prepend("f", 2).pre_insert("g", "z").post_insert("h", ["w"]).remove("i", "v").unset("j")

    assert mine.user_properties == theirs.user_properties


@pytest.mark.oracle
@pytest.mark.parametrize(
    "given",
    [
        {"price": 3.99},
        {"price": 1.0, "quantity": 2, "product_id": "p", "revenue_type": "t", "currency": "USD", "revenue": 9.5},
        {"price": -1.5, "receipt": "r", "receipt_sig": "s", "properties": {"extra": [1], "$price": 7.0}},
    ],
)
def test_revenue_equals_the_python_package_s_own(given: dict[str, Any]) -> None:
    published = pytest.importorskip("amplitude")

    assert Revenue(**given).event_properties == published.Revenue(**given).get_event_properties()


@pytest.mark.oracle
def test_an_event_in_amplitude_s_form_equals_the_python_package_s_own() -> None:
    published = pytest.importorskip("amplitude")
    fields: dict[str, Any] = {
        "event_type": "e", "user_id": "ada-1815", "device_id": "device-1", "time": 1, "insert_id": "own",
        "event_properties": {"a": [1, {"b": "c"}]}, "user_properties": {"x": "y"}, "groups": {"org": ["a", "b"]},
        "app_version": "1", "platform": "web", "location_lat": 1.5, "price": 2.5, "quantity": 3, "session_id": -1,
    }  # fmt: skip

    theirs = published.BaseEvent(**fields).get_event_body()

    assert {name: value for name, value in event(AMPLITUDE, raw_event(fields)).items() if name != "library"} == theirs


# --- answers against recorded expectations --------------------------------------------------------------------------

# A person has to act on these: the destination halts and keeps its events, where the table drops them.
HALTS = {"302", "400 invalid api key", "401/404/405/410/414/415/422/431"}


def chunks_of(ids: list[Any]) -> list[bytes]:
    return [orjson.dumps({"user_id": user, "device_id": device})[:-1] for user, device in ids]


def answer(case: dict[str, Any]) -> Response:
    body = case.get("body")
    text = body.encode() if isinstance(body, str) else b"" if body is None else orjson.dumps(body)
    headers = {name.lower(): value for name, value in case.get("headers", {}).items()}
    return Response(case["status"], headers, text, "" if case["status"] else "connection")


def outcomes(verdict: Verdict, count: int) -> dict[str, list[int]]:
    """Return the outcomes in the words of the table; a halved batch is settled by the next response."""
    named = {*verdict.retry, *verdict.resend, *verdict.reject, *verdict.pause}
    waits = verdict.retry_after is not None
    found = {
        "drop": sorted(verdict.reject),
        "retry": sorted({*verdict.resend, *(() if waits else verdict.retry)}),
        "retry_throttled": sorted({*verdict.pause, *(verdict.retry if waits else ())}),
    }
    if verdict.halve:
        found["drop" if count == 1 else "retry" if verdict.halve_after else "halve"] = list(range(count))
    elif not verdict.halt:
        found["delivered"] = sorted(set(range(count)) - named)
    return {name: positions for name, positions in found.items() if positions}


def test_responses_are_judged_as_recommended(vectors: Path) -> None:
    table = json.loads((vectors / "amplitude" / "recommended-dispositions.json").read_bytes())

    for case in table["cases"]:
        count = case["events"]
        verdict = AMPLITUDE.judge(answer(case), chunks_of(table["ids"][:count]))
        if case["name"] in HALTS:
            assert verdict.halt, case["name"]
            continue
        expected = {name: case[name] for name in ("drop", "retry", "retry_throttled", "delivered") if case.get(name)}
        if case.get("bisect") or case.get("split"):
            expected["halve"] = list(range(count))
        assert outcomes(verdict, count) == expected, case["name"]
        assert verdict.retry_after == case.get("retry_after_s", verdict.retry_after), case["name"]


# Cases of the vendors' tests that count tries or requests or break connections: that is the lane's work.
OF_THE_LANE = {"max_retries", "flushMaxRetries", "flush_queue_size", "retry_by_status", "transport"}


def vendor_cases(vectors: Path) -> list[tuple[dict[str, Any], list[Any]]]:
    suites = json.loads((vectors / "amplitude" / "vendor-test-expectations.json").read_bytes())["suites"]
    cases = []
    for suite in suites:
        for case in suite["cases"]:
            ids: list[Any] = case.get("ids") or suite.get("ids") or [f"user-{n}" for n in range(case.get("n", 3))]
            ids = [one if isinstance(one, list) else [one, None] for one in ids][: case.get("n", len(ids))]
            for position, pair in case.get("override_ids", {}).items():
                ids[int(position)] = pair
            if not OF_THE_LANE & case.keys():
                cases.append((case, ids))
    return cases


def test_responses_are_judged_as_in_the_vendor_s_own_tests(vectors: Path) -> None:
    for case, ids in vendor_cases(vectors):
        count = len(ids)
        verdict = AMPLITUDE.judge(answer(case), chunks_of(ids))
        found = outcomes(verdict, count)
        if case["status"] == 100 or "Invalid API key" in str(case.get("body")):
            # analytics-go drops these. Here they are kept: no response arrived, or a person has to act.
            assert verdict.halt or found == {"retry": list(range(count))}, case
        elif case["status"] == 413:
            assert found == ({"halve": list(range(count))} if count > 1 else {"drop": [0]}), case
        elif "callback" in case and case["status"] != 200:
            assert found.get("drop", []) == case["callback"], case
            assert found.get("retry", []) == case.get("retry"), case
            assert found.get("retry_throttled", []) == case.get("retry_delayed", []), case


def test_quota_and_throttling_are_distinguished_as_in_the_vendor_s_own_tests(vectors: Path) -> None:
    case, ids = next((case, ids) for case, ids in vendor_cases(vectors) if "final_codes" in case)

    verdict = AMPLITUDE.judge(answer(case), chunks_of(ids))

    assert sorted(verdict.reject) == [n for n, code in enumerate(case["final_codes"]) if code == 429]
    assert (sorted(verdict.pause), sorted(verdict.resend)) == ([0], [3])


def test_statuses_are_sorted_as_in_the_published_packages(vectors: Path) -> None:
    rows = json.loads((vectors / "amplitude" / "status-map.oracle.json").read_bytes())["rows"]
    kinds = {"SUCCESS": "delivered", "FAILED": "retry", "TIMEOUT": "retry", "TOO_MANY_REQUESTS": "retry_throttled"}

    for row in rows:
        status = row["input"]
        if row["python"] in kinds and 0 <= status < 600:
            verdict = AMPLITUDE.judge(Response(status), chunks_of([["ada-1", None]]))
            assert outcomes(verdict, 1) == {kinds[row["python"]]: [0]}, status
