"""Bodies that are JSON but not a whole ruleset: they never replace rules, whatever their time."""

import asyncio
import gzip
import logging
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from rules.rulesets import make_context

from asyncsdk._rules.completeness import FACTS, TYPED_SECTIONS
from asyncsdk._rules.language.specs import MalformedError
from asyncsdk._rules.loading import load_now
from asyncsdk.stores import MemoryCache
from refresh.vendor import ADA, Vendor, gate, make_refresher, rules, running, statsig, until

SECTIONS = ("feature_gates", "dynamic_configs", "layer_configs", "condition_map")
WHOLE = orjson.loads(rules(9, gate("other")))


def without(*names: str, **fields: Any) -> bytes:
    return orjson.dumps({name: value for name, value in WHOLE.items() if name not in names} | fields)


INCOMPLETE = {
    "only a time": b'{"has_updates":true,"time":9}',
    "a time after a byte order mark": b'\xef\xbb\xbf{"has_updates":true,"time":9}',
    "an error": b'{"error":"internal"}',
    "a section twice": without().replace(b'"condition_map":{}', b'"condition_map":{},"feature_gates":{}'),
    "a list among objects": without(layer_configs=[]),
    "has_updates 1": without(has_updates=1),
    "a large fact": without(sdk_configs={"x": "y" * 300_000}),
    "a time beyond all times": without(time=2**63),
    **{f"no {name}": without(name) for name in (*SECTIONS, "time", "has_updates")},
    **{f"{name} {wrong!r}": without(**{name: wrong}) for name in SECTIONS for wrong in (None, [], 5, "x", True)},
    **{f"time {wrong!r}": without(time=wrong) for wrong in (None, "9", 9.5, -9, True)},
    **{f"{name} 5": without(**{name: 5}) for name in (*TYPED_SECTIONS, *FACTS - {"app_id", "time", "has_updates"})},
}


@pytest.mark.parametrize("body", INCOMPLETE.values(), ids=INCOMPLETE)
async def test_an_incomplete_download_is_a_failure_and_replaces_nothing(
    vendor: Vendor, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    cache = MemoryCache()
    vendor.body = rules(5)
    async with running(make_refresher(statsig(vendor, cache=cache))) as refresher:
        await refresher.wait_ready(5)
        good, vendor.body = refresher.rules, body
        await until(lambda: refresher.health().failures)
        assert refresher.rules is good
        vendor.body = rules(6, gate("next"))
        await until(lambda: refresher.rules.gate(ADA, "next").value)
        while await cache.load(statsig(vendor).cache_key) != vendor.body:
            await asyncio.sleep(0)

    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_the_log_and_the_health_name_what_is_missing(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    vendor.body = without("condition_map")
    async with running(make_refresher(statsig(vendor))) as refresher:
        await until(lambda: refresher.health().failures)

        assert refresher.health().last_error == "the ruleset has no `condition_map`"
    assert "the ruleset has no `condition_map`" in caplog.text


async def test_a_project_without_names_is_complete(vendor: Vendor) -> None:
    vendor.body = rules(5)
    async with running(make_refresher(statsig(vendor))) as refresher:
        await refresher.wait_ready(5)
        vendor.body = without(feature_gates={}, param_stores=None, more={"unknown": 5})

        await until(lambda: refresher.health().time_ms == 9)


@pytest.mark.parametrize(
    "body", [without("layer_configs"), b'{"has_updates":true,"time":9}', b'{"has_updates":false}', b""]
)
async def test_an_incomplete_ruleset_in_the_cache_is_not_used(body: bytes) -> None:
    cache = MemoryCache()
    source = statsig(cache=cache, offline=True)
    await cache.save(source.cache_key, body)
    async with running(make_refresher(source)) as refresher:
        assert not await refresher.wait_ready(5)

    assert (refresher.health().source, refresher.health().cache_failures) == ("NoValues", 1)


json_values = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.none()) | st.just({})


@given(st.dictionaries(st.sampled_from([*SECTIONS, "has_updates", "time", "app_id"]), json_values | st.just("absent")))
def test_only_a_whole_ruleset_is_loaded(changes: dict[str, Any]) -> None:
    changed = WHOLE | changes
    body = {name: value for name, value in changed.items() if value != "absent"}
    is_whole = (
        all(type(body.get(section)) is dict for section in SECTIONS)
        and body.get("has_updates") is True
        and type(body.get("time")) is int
        and 0 <= body["time"] < 2**63
    )
    is_v1 = all(type(body.get(section)) is list for section in SECTIONS[:3])

    try:
        found = load_now(orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS), make_context(), is_handmade=False)
    except (MalformedError, TypeError):  # orjson itself refuses numbers beyond 64 bits
        assert not is_whole
    else:
        assert is_whole or is_v1 or (found is None and body["has_updates"] is False)


# --- a bootstrap --------------------------------------------------------------------------------------------------

SHORT = {"feature_gates": {"gate": {"enabled": True, "defaultValue": True}}}


@pytest.mark.parametrize(
    "bootstrap",
    [
        SHORT,
        {**SHORT, "time": 5},
        {"feature_gates": [{"name": "gate", "enabled": True, "defaultValue": True}]},
        "\ufeff" + orjson.dumps(SHORT).decode(),
        b"\xef\xbb\xbf \n" + orjson.dumps(SHORT),
        b" " * 100_000 + rules(),
    ],
    ids=["short", "with a time", "v1", "text with a byte order mark", "bytes with one", "white space"],
)
async def test_a_bootstrap_may_have_the_short_form(bootstrap: Any) -> None:
    async with running(make_refresher(statsig(bootstrap=bootstrap, offline=True))) as refresher:
        assert await refresher.wait_ready(5)

        assert refresher.rules.gate(ADA, "gate").value is True


@pytest.mark.parametrize(
    ("bootstrap", "message"),
    [
        ({}, "a ruleset has at least one of feature_gates, dynamic_configs, layer_configs"),
        ({"has_updates": False, **SHORT}, 'it says `"has_updates": false`, so it has no rules'),
        ({**SHORT, "layer_configs": []}, "`layer_configs` of the ruleset is not an object"),
        ({**SHORT, "condition_map": None}, "`condition_map` of the ruleset is not an object"),
        ({**SHORT, "time": "now"}, "`time` of the ruleset is not a whole number"),
    ],
)
async def test_a_bootstrap_that_is_no_ruleset_says_what_is_missing(
    bootstrap: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(make_refresher(statsig(bootstrap=bootstrap, offline=True))) as refresher:
        assert not await refresher.wait_ready(5)

        assert refresher.health().last_error == message
    assert len(caplog.records) == 1


@pytest.mark.parametrize("knows_time", [True, False])
async def test_the_network_replaces_a_bootstrap_of_a_later_time(
    vendor: Vendor, knows_time: bool, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.body = rules(5, gate("real"))
    # A server that looks at `sinceTime` has nothing newer; another one sends its rules to everyone.
    vendor.script = [b'{"has_updates":false}'] if knows_time else []
    async with running(make_refresher(statsig(vendor, bootstrap=rules(99, gate("old"))))) as refresher:
        await until(lambda: refresher.rules.gate(ADA, "real").value)

        assert (refresher.health().source, refresher.health().time_ms) == ("Network", 5)
    [warning] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning == "Statsig: the bootstrap's time, 99, is later than the project's, 5; using the project's rules"


async def test_a_bootstrap_that_the_network_confirms_counts_as_downloaded(vendor: Vendor) -> None:
    async with running(make_refresher(statsig(vendor, bootstrap=vendor.body))) as refresher:
        await until(lambda: refresher.health().source == "Network")
        compiled = refresher.rules.gates
        assert refresher.rules.gate(ADA, "gate").value is True
        await until(lambda: len(vendor.requests) > 3)

    assert refresher.rules.gates is compiled
    assert [dict(request.query) for request in vendor.requests[1:3]] == [{"sinceTime": "1"}] * 2


async def test_a_compressed_download_may_begin_with_a_byte_order_mark(vendor: Vendor) -> None:
    body = gzip.compress(b"\xef\xbb\xbf" + rules())
    vendor.script = [web.Response(body=body, headers={"Content-Encoding": "gzip"})]
    async with running(make_refresher(statsig(vendor, poll_interval=60))) as refresher:
        assert await refresher.wait_ready(5)
