"""Every body gets a reply, however malformed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk.dev import AmplitudeServer, RudderStackServer, StatsigRulesServer, StatsigServer
from asyncsdk.dev.messages import IncomingRequest, VendorServer
from asyncsdk.dev.ruleset_versions import next_version
from dev.rulesets import as_bytes, rule, ruleset, spec

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAF = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
RUDDER = ["userId", "anonymousId", "messageId", "type", "event", "properties"]
AMPLITUDE = ["user_id", "device_id", "insert_id", "event_type", "time", "event_properties", "groups", "price"]
FIELDS = st.sampled_from([*RUDDER, *AMPLITUDE, "eventName", "user", "metadata"])
USER = JSON | st.dictionaries(st.sampled_from(["userID", "email", "custom", "customIDs"]), JSON, max_size=4)
EVENT = JSON | st.dictionaries(FIELDS, JSON, max_size=5)
ENVELOPE = JSON | st.fixed_dictionaries(
    {},
    optional={
        "batch": st.lists(EVENT, max_size=3) | EVENT,
        "events": st.lists(EVENT, max_size=3) | EVENT,
        "api_key": JSON,
        "options": JSON,
        "user": USER,
        "hash": JSON,
        "sinceTime": JSON,
    },
)
HEADERS = {"authorization": "Basic azo=", "statsig-api-key": "k", "content-type": "application/json"}
RULES = StatsigRulesServer()
RULES.served.version = next_version(as_bytes(ruleset({"g": spec(rule(["ada"]))})), None)
SERVERS: list[tuple[VendorServer, str]] = [
    (RudderStackServer(keys={"k"}, rate_limit=2), "/v1/batch"),
    (RudderStackServer(), "/v1/track"),
    (AmplitudeServer(keys={"k"}, eps_threshold=1, daily_quota=1, silenced_devices=["d"]), "/batch"),
    (AmplitudeServer(), "/2/httpapi"),
    (StatsigServer(), "/v1/log_event"),
    (RULES, "/v1/initialize"),
    (RULES, "/v1/download_config_specs"),
]


def send(server: VendorServer, path: str, body: bytes) -> int:
    route = server.route("POST", path)
    assert route is not None
    reply = route.handle(IncomingRequest("POST", path, headers=HEADERS, body=body, now=1e9))
    accepted = [event for event in reply.events if event.verdict == "accepted"]
    assert reply.status < 300 or not accepted
    return reply.status


@pytest.mark.parametrize(("server", "path"), SERVERS)
@given(body=ENVELOPE)
def test_any_json_gets_a_reply(server: VendorServer, path: str, body: Any) -> None:
    assert send(server, path, json.dumps(body).encode()) in (200, 202, 400, 413, 429)


@pytest.mark.parametrize(("server", "path"), SERVERS)
@given(body=st.binary(max_size=40))
def test_any_bytes_get_a_reply(server: VendorServer, path: str, body: bytes) -> None:
    assert send(server, path, body) in (200, 202, 400)


@pytest.mark.parametrize("depth", [100, 300, 1100, 20_000])
def test_any_depth_gets_a_reply(depth: int) -> None:
    deep = b'{"batch":[{"userId":%s}]}' % (b"[" * depth + b"]" * depth)

    assert send(RudderStackServer(), "/v1/batch", deep) == (200 if depth == 100 else 400)
