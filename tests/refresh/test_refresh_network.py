"""Refreshing rules from the network: requests, replacement, failures, the fallback for a proxy, watchers."""

import asyncio
import gzip
import logging
import zlib
from pathlib import Path

import pytest
from aiohttp import web

from asyncsdk._model.reports import RulesetChange
from asyncsdk._refresh import Refresher
from asyncsdk.vendors._base import Request, Response
from asyncsdk.vendors.statsig import Rules, Statsig
from refresh.vendor import ADA, KEY, NOTHING_NEW, Vendor, gate, make_refresher, rules, running, serving, statsig, until


def passes(refresher: Refresher, name: str = "gate") -> bool:
    return refresher.rules.gate(ADA, name).value is True


def reason(refresher: Refresher, name: str = "gate") -> str:
    return refresher.rules.reason(refresher.rules.gate(ADA, name))


# --- first rules --------------------------------------------------------------------------------------------------


def test_before_run_there_are_no_names() -> None:
    refresher = make_refresher(statsig())

    assert not passes(refresher)
    assert reason(refresher) == "Uninitialized"
    assert not refresher.is_ready


async def test_the_first_rules_come_from_the_network(vendor: Vendor) -> None:
    async with running(make_refresher(statsig(vendor))) as refresher:
        assert await refresher.wait_ready(5)

        assert passes(refresher)
        assert reason(refresher) == "Network:Recognized"


async def test_the_first_request_has_the_key_and_no_version(vendor: Vendor) -> None:
    async with running(make_refresher(statsig(vendor))) as refresher:
        await refresher.wait_ready(5)

    request = vendor.requests[0]
    assert (request.method, request.path_qs) == ("GET", f"/v2/download_config_specs/{KEY}.json")
    assert request.headers["STATSIG-API-KEY"] == KEY
    assert request.headers["STATSIG-SERVER-SESSION-ID"] == "session-1"
    assert request.headers["STATSIG-CLIENT-TIME"].isdecimal()
    assert request.headers["Accept-Encoding"] == "gzip, deflate"


async def test_later_requests_have_the_time_and_checksum_in_use(vendor: Vendor) -> None:
    vendor.body = rules(7, checksum="a&b")
    async with running(make_refresher(statsig(vendor))):
        await until(lambda: len(vendor.requests) > 1)

    assert dict(vendor.requests[1].query) == {"sinceTime": "7", "checksum": "a&b"}


async def test_an_outage_at_the_start_is_retried(vendor: Vendor) -> None:
    vendor.script = [503, 503]
    async with running(make_refresher(statsig(vendor))) as refresher:
        assert await refresher.wait_ready(5)


async def test_waiting_for_rules_times_out(vendor: Vendor) -> None:
    vendor.script = [503] * 10_000
    async with running(make_refresher(statsig(vendor))) as refresher:
        assert not await refresher.wait_ready(0.02)
        await until(lambda: reason(refresher) == "NoValues")


@pytest.mark.parametrize("refusal", [NOTHING_NEW, 403])
async def test_waiting_ends_early_if_there_are_no_rules_or_the_key_is_refused(
    vendor: Vendor, refusal: bytes | int
) -> None:
    vendor.script = [refusal] * 10_000
    async with running(make_refresher(statsig(vendor), poll_interval=60)) as refresher:
        assert not await refresher.wait_ready(3600)


@pytest.mark.parametrize("answer", [NOTHING_NEW, b"", 204, 304], ids=repr)
async def test_a_first_answer_without_rules_is_a_failure(
    vendor: Vendor, answer: bytes | int, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.script = [answer]
    async with running(make_refresher(statsig(vendor), poll_interval=60)) as refresher:
        await until(lambda: reason(refresher) == "NoValues")
        health = refresher.health()

    assert (health.last_error, health.failures) == ("nothing new was sent to a client without rules", 1)
    assert health.last_sync is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# --- replacement --------------------------------------------------------------------------------------------------


async def test_newer_rules_replace_older_ones(vendor: Vendor) -> None:
    async with running(make_refresher(statsig(vendor))) as refresher:
        await refresher.wait_ready(5)
        vendor.body = rules(2, gate("gate", passes=False), gate("new"))

        await until(lambda: passes(refresher, "new"))
        assert not passes(refresher)


@pytest.mark.parametrize(
    "kept",
    [
        NOTHING_NEW,
        b'{"has_updates":true,"time":1,"feature_gates":{}}',
        rules(4, gate("other")),
        rules(5, gate("other"), checksum="c"),
        rules(9, gate("other"), checksum="c"),
        rules(9, gate("other"))[:-40],
        b"[]",
        b'"text"',
        b"<html>down for maintenance</html>",
        b"",
        204,
        304,
        302,
        403,
        500,
        web.Response(body=b"not packed", headers={"Content-Encoding": "gzip"}),
        web.Response(body=gzip.compress(rules(9, gate("other")))[:-20], headers={"Content-Encoding": "gzip"}),
        web.Response(body=b"x", headers={"Content-Encoding": "zstd"}),
    ],
    ids=repr,
)
async def test_a_body_that_is_not_a_newer_ruleset_is_ignored(vendor: Vendor, kept: object) -> None:
    vendor.body = rules(5, checksum="c")
    async with running(make_refresher(statsig(vendor))) as refresher:
        await refresher.wait_ready(5)
        good = refresher.rules
        vendor.script = [kept]
        before = len(vendor.requests)
        await until(lambda: len(vendor.requests) > before + 2)

        assert refresher.rules is good
        assert passes(refresher)


@pytest.mark.parametrize(
    "taken", [rules(5, gate("other"), checksum="d"), rules(5, gate("other")), rules(6, gate("other"))]
)
async def test_the_same_time_with_another_or_no_checksum_is_installed(vendor: Vendor, taken: bytes) -> None:
    vendor.body = rules(5, checksum="c")
    async with running(make_refresher(statsig(vendor))) as refresher:
        await refresher.wait_ready(5)
        vendor.body = taken

        await until(lambda: passes(refresher, "other"))


async def test_a_malformed_spec_does_not_affect_other_names(vendor: Vendor) -> None:
    vendor.body = rules(1, gate("gate"), {**gate("odd"), "rules": 5})
    async with running(make_refresher(statsig(vendor))) as refresher:
        await refresher.wait_ready(5)

        assert passes(refresher)
        assert reason(refresher, "odd") == "Network:Unsupported"


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(rules())),
        ("deflate", zlib.compress(rules())),
        ("deflate", zlib.compress(rules(), wbits=-15)),
        ("identity", rules()),
    ],
)
async def test_compressed_responses_are_decompressed(vendor: Vendor, coding: str, packed: bytes) -> None:
    vendor.script = [web.Response(body=packed, headers={"Content-Encoding": coding})]
    async with running(make_refresher(statsig(vendor), poll_interval=60)) as refresher:
        assert await refresher.wait_ready(5)


# --- failures -----------------------------------------------------------------------------------------------------


async def test_an_outage_is_logged_once_and_so_is_its_end(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asyncsdk")
    async with running(make_refresher(statsig(vendor))) as refresher:
        await refresher.wait_ready(5)
        vendor.script = [503, 503, 503, 503]
        await until(lambda: refresher.health().failures == 2)
        health = refresher.health()
        await until(lambda: not vendor.script and not refresher.health().failures)

    assert (health.last_error, health.source, health.names) == ("status 503", "Network", 1)
    assert refresher.health().last_error == ""
    assert [record.getMessage() for record in caplog.records] == [
        "Statsig rules: status 503; keeping current data",
        "Statsig rules: recovered after 4 failures",
    ]


async def test_a_refused_key_is_logged_once_as_an_error(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asyncsdk")
    vendor.script = [503, 503, 401, 403]
    async with running(make_refresher(statsig(vendor))) as refresher:
        await until(lambda: not vendor.script and passes(refresher))

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "Statsig rules: status 503; no rules yet, lookups return their fallbacks"),
        ("ERROR", "Statsig rules: status 401, check the secret key; no rules yet, lookups return their fallbacks"),
        ("INFO", "Statsig rules: recovered after 4 failures"),
    ]


@pytest.mark.parametrize("stray", [401, 404, 302])
async def test_a_stray_refusal_neither_delays_the_first_rules_nor_is_logged(
    vendor: Vendor, caplog: pytest.LogCaptureFixture, stray: int
) -> None:
    caplog.set_level(logging.INFO, "asyncsdk")
    vendor.script = [stray]
    async with running(make_refresher(statsig(vendor), poll_interval=60)) as refresher:
        assert await refresher.wait_ready(5)

    assert not caplog.records


async def test_a_missing_bootstrap_file_is_logged(
    vendor: Vendor, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    source = Statsig("secret-key", offline=True, rules=Rules(bootstrap=tmp_path / "none.json"))
    async with running(make_refresher(source)):
        await until(lambda: bool(caplog.records))

    message = "Statsig bootstrap: cannot read the file: FileNotFoundError; no rules yet, lookups return their fallbacks"
    assert [record.getMessage() for record in caplog.records] == [message]


async def test_polling_recovers_when_the_server_is_back(vendor: Vendor) -> None:
    async with serving(Vendor()) as lost:
        refresher = make_refresher(statsig(lost))
        async with running(refresher):
            await refresher.wait_ready(5)
    async with running(refresher):
        await until(lambda: refresher.health().last_error == "connection refused")
        assert passes(refresher)
        lost.body = rules(2, gate("new"))
        async with serving(lost):
            await until(lambda: passes(refresher, "new"))


async def test_the_key_is_in_no_log_line_health_or_repr(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "asyncsdk")
    vendor.script = [503, b"junk", 401]
    refresher = make_refresher(statsig(vendor))
    async with running(refresher):
        await until(lambda: not vendor.script)

    assert KEY not in caplog.text + repr(refresher.health()) + repr(statsig(vendor)) + repr(refresher.rules)


async def test_health_has_the_age_of_the_rules(vendor: Vendor) -> None:
    now = [1_000_000]
    refresher = make_refresher(statsig(vendor), clock=lambda: now[0], poll_interval=60)
    assert (refresher.health().age, refresher.health().last_sync) == (None, None)
    async with running(refresher):
        await refresher.wait_ready(5)
        await until(lambda: refresher.health().last_sync is not None)
        now[0] += 90_000

    assert (refresher.health().age, refresher.health().last_sync, refresher.health().time_ms) == (90, 90, 1)


# --- a proxy that fails -------------------------------------------------------------------------------------------


class FailingProxy:
    """A network on which a proxy fails and only the vendor itself responds, while it is up."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.vendor_is_up = True

    async def fetch(self, request: Request) -> Response:
        name = "vendor" if request.url.startswith("https://api.statsigcdn.com/v2/") else "proxy"
        self.requests.append(name)
        await asyncio.sleep(0)
        return Response(200, body=NOTHING_NEW) if name == "vendor" and self.vendor_is_up else Response(503)


async def run_for_requests(network: FailingProxy, refresher: Refresher, times: int) -> None:
    task = asyncio.create_task(refresher.run(network))
    await until(lambda: len(network.requests) >= times)
    task.cancel()
    await asyncio.wait([task])


async def test_a_failing_proxy_is_bypassed_at_once_while_there_are_no_rules() -> None:
    network = FailingProxy()

    await run_for_requests(network, make_refresher(statsig(specs_url="https://proxy.example.com", fallback=True)), 4)

    assert network.requests[:4] == ["proxy", "vendor", "proxy", "vendor"]


async def test_later_a_failing_proxy_is_bypassed_after_every_fifth_failure() -> None:
    network = FailingProxy()
    network.vendor_is_up = False
    source = statsig(specs_url="https://proxy.example.com", fallback=True, bootstrap=rules())

    refresher = make_refresher(source)
    await run_for_requests(network, refresher, 12)

    assert network.requests[:12] == [*["proxy"] * 5, "vendor", *["proxy"] * 5, "vendor"]
    assert refresher.health().last_error == "status 503"


async def test_without_fallback_a_failing_proxy_is_never_bypassed() -> None:
    network = FailingProxy()

    await run_for_requests(network, make_refresher(statsig(specs_url="https://proxy.example.com")), 8)

    assert set(network.requests) == {"proxy"}


# --- watchers -----------------------------------------------------------------------------------------------------


async def test_a_watcher_is_notified_of_what_changed(vendor: Vendor) -> None:
    heard: list[RulesetChange] = []
    experiment = {**gate("test"), "entity": "experiment"}
    config = {**gate("prices"), "entity": "dynamic_config"}
    vendor.body = rules(1, gate("same"), gate("changes"), gate("goes"), layer_configs={"home": gate("home")})
    refresher = make_refresher(statsig(vendor))
    refresher.subscribe(heard.append)
    async with running(refresher):
        await until(lambda: heard)
        vendor.body = rules(
            2,
            gate("same"),
            gate("changes", passes=False),
            gate("comes"),
            dynamic_configs={"test": experiment, "prices": config},
        )
        await until(lambda: len(heard) > 1)

    assert heard[0].added == {"gate": ("same", "changes", "goes"), "layer": ("home",)}
    assert heard[1] == RulesetChange(
        source="Network",
        time_ms=2,
        added={"gate": ("comes",), "experiment": ("test",), "config": ("prices",)},
        changed={"gate": ("changes",)},
        removed={"gate": ("goes",), "layer": ("home",)},
    )


async def test_an_edited_condition_changes_the_specs_that_use_it(vendor: Vendor) -> None:
    heard: list[RulesetChange] = []
    gates = gate("uses", conditions=("1", "2")), gate("does not", conditions=("2",)), gate("none")
    layer = {"home": gate("home", conditions=("3",)), "away": gate("away", conditions=("4", "5"))}
    conditions = {str(number): {"type": "public", "number": number} for number in range(50)}
    vendor.body = rules(1, *gates, layer_configs=layer, condition_map=conditions)
    refresher = make_refresher(statsig(vendor))
    refresher.subscribe(heard.append)
    async with running(refresher):
        await until(lambda: heard)
        edited = {key: value for key, value in conditions.items() if key != "5"} | {"1": {"type": "mystery"}, "new": {}}
        vendor.body = rules(2, *gates, layer_configs=layer, condition_map=edited)
        await until(lambda: len(heard) > 1)

    assert heard[1] == RulesetChange("Network", 2, changed={"gate": ("uses",), "layer": ("away",)})


async def test_a_watcher_is_notified_of_any_number_of_names(vendor: Vendor) -> None:
    heard: list[RulesetChange] = []
    vendor.body = rules(1, *[gate(f"gate-{number}") for number in range(700)])
    refresher = make_refresher(statsig(vendor))
    refresher.subscribe(heard.append)
    async with running(refresher):
        await until(lambda: heard)
        vendor.body = rules(2)
        await until(lambda: len(heard) > 1)

    assert len(heard[0].added["gate"]) == len(heard[1].removed["gate"]) == 700


async def test_a_watcher_that_raises_is_logged(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[RulesetChange] = []
    refresher = make_refresher(statsig(vendor))
    refresher.subscribe(lambda _: 1 / 0)
    refresher.subscribe(heard.append)
    async with running(refresher):
        await until(lambda: heard)

    assert passes(refresher)
    assert "ZeroDivisionError" in caplog.text


async def test_a_repr_counts_names_and_failures(vendor: Vendor) -> None:
    async with running(make_refresher(statsig(vendor), poll_interval=60)) as refresher:
        assert await refresher.wait_ready(5)

    lists = "<IdLists 0 lists, 0 entries, 0 failures in a row>"
    ruleset = "<Ruleset Network, 1 names, 0 compiled, time_ms=1>"
    assert repr(refresher) == f"<Refresher Statsig, {ruleset}, {lists}, 0 failures in a row>"
