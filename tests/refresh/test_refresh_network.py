"""Rules from the network: what is asked, what is taken, and what leaves the last good ones in use."""

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
from refresh.vendor import ADA, KEY, NOTHING_NEW, Vendor, gate, refresher, rules, running, serving, statsig, until


def passes(refresher: Refresher, name: str = "gate") -> bool:
    return refresher.rules.gate(ADA, name).value is True


def reason(refresher: Refresher, name: str = "gate") -> str:
    return refresher.rules.reason(refresher.rules.gate(ADA, name))


# --- first rules --------------------------------------------------------------------------------------------------


def test_before_it_runs_no_name_is_known() -> None:
    made = refresher(statsig())

    assert not passes(made)
    assert reason(made) == "Uninitialized"
    assert not made.is_ready


async def test_the_first_rules_come_from_the_network(vendor: Vendor) -> None:
    async with running(refresher(statsig(vendor))) as made:
        assert await made.wait_ready(5)

        assert passes(made)
        assert reason(made) == "Network:Recognized"


async def test_the_first_question_names_the_key_and_nothing_that_is_held(vendor: Vendor) -> None:
    async with running(refresher(statsig(vendor))) as made:
        await made.wait_ready(5)

    asked = vendor.asked[0]
    assert (asked.method, asked.path_qs) == ("GET", f"/v2/download_config_specs/{KEY}.json")
    assert asked.headers["STATSIG-API-KEY"] == KEY
    assert asked.headers["STATSIG-SERVER-SESSION-ID"] == "session-1"
    assert asked.headers["STATSIG-CLIENT-TIME"].isdecimal()
    assert asked.headers["Accept-Encoding"] == "gzip, deflate"


async def test_later_questions_name_the_time_and_checksum_that_are_held(vendor: Vendor) -> None:
    vendor.body = rules(7, checksum="a&b")
    async with running(refresher(statsig(vendor))):
        await until(lambda: len(vendor.asked) > 1)

    assert dict(vendor.asked[1].query) == {"sinceTime": "7", "checksum": "a&b"}


async def test_a_vendor_that_is_down_in_the_beginning_is_asked_again(vendor: Vendor) -> None:
    vendor.script = [503, 503]
    async with running(refresher(statsig(vendor))) as made:
        assert await made.wait_ready(5)


async def test_waiting_for_rules_ends(vendor: Vendor) -> None:
    vendor.script = [503] * 10_000
    async with running(refresher(statsig(vendor))) as made:
        assert not await made.wait_ready(0.02)
        await until(lambda: reason(made) == "NoValues")


@pytest.mark.parametrize("refusal", [NOTHING_NEW, 403])
async def test_nobody_waits_for_a_source_that_has_no_rules_or_refuses_the_key(
    vendor: Vendor, refusal: bytes | int
) -> None:
    vendor.script = [refusal] * 10_000
    async with running(refresher(statsig(vendor), poll_interval=60)) as made:
        assert not await made.wait_ready(3600)


async def test_a_first_answer_without_rules_leaves_none(vendor: Vendor) -> None:
    vendor.script = [NOTHING_NEW]
    async with running(refresher(statsig(vendor), poll_interval=60)) as made:
        await until(lambda: reason(made) == "NoValues")

    assert made.health().last_error == ""
    assert made.health().last_sync is not None


# --- what is taken ------------------------------------------------------------------------------------------------


async def test_newer_rules_replace_older_ones(vendor: Vendor) -> None:
    async with running(refresher(statsig(vendor))) as made:
        await made.wait_ready(5)
        vendor.body = rules(2, gate("gate", passes=False), gate("new"))

        await until(lambda: passes(made, "new"))
        assert not passes(made)


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
async def test_what_is_no_newer_ruleset_leaves_the_last_good_one(vendor: Vendor, kept: object) -> None:
    vendor.body = rules(5, checksum="c")
    async with running(refresher(statsig(vendor))) as made:
        await made.wait_ready(5)
        good = made.rules
        vendor.script = [kept]
        before = len(vendor.asked)
        await until(lambda: len(vendor.asked) > before + 2)

        assert made.rules is good
        assert passes(made)


@pytest.mark.parametrize(
    "taken", [rules(5, gate("other"), checksum="d"), rules(5, gate("other")), rules(6, gate("other"))]
)
async def test_the_same_time_with_another_checksum_or_none_is_taken(vendor: Vendor, taken: bytes) -> None:
    vendor.body = rules(5, checksum="c")
    async with running(refresher(statsig(vendor))) as made:
        await made.wait_ready(5)
        vendor.body = taken

        await until(lambda: passes(made, "other"))


async def test_one_malformed_spec_costs_itself_only(vendor: Vendor) -> None:
    vendor.body = rules(1, gate("gate"), {**gate("odd"), "rules": 5})
    async with running(refresher(statsig(vendor))) as made:
        await made.wait_ready(5)

        assert passes(made)
        assert reason(made, "odd") == "Network:Unsupported"


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(rules())),
        ("deflate", zlib.compress(rules())),
        ("deflate", zlib.compress(rules(), wbits=-15)),
        ("identity", rules()),
    ],
)
async def test_packed_answers_are_unpacked(vendor: Vendor, coding: str, packed: bytes) -> None:
    vendor.script = [web.Response(body=packed, headers={"Content-Encoding": coding})]
    async with running(refresher(statsig(vendor), poll_interval=60)) as made:
        assert await made.wait_ready(5)


# --- failures -----------------------------------------------------------------------------------------------------


async def test_an_outage_is_one_line_in_the_log_and_its_end_another(
    vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asyncsdk")
    async with running(refresher(statsig(vendor))) as made:
        await made.wait_ready(5)
        vendor.script = [503, 503, 503, 503]
        await until(lambda: made.health().failures == 2)
        health = made.health()
        await until(lambda: not vendor.script and not made.health().failures)

    assert (health.last_error, health.source, health.names) == ("status 503", "Network", 1)
    assert made.health().last_error == ""
    assert [record.getMessage() for record in caplog.records] == [
        "Statsig rules: status 503; keeping current data",
        "Statsig rules: recovered after 4 failures",
    ]


async def test_a_key_that_is_refused_is_one_error(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asyncsdk")
    vendor.script = [503, 401, 403, 401]
    async with running(refresher(statsig(vendor))) as made:
        await until(lambda: not vendor.script and passes(made))

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "Statsig rules: status 503; no rules yet, lookups return their fallbacks"),
        ("ERROR", "Statsig rules: status 401, check the secret key; no rules yet, lookups return their fallbacks"),
        ("INFO", "Statsig rules: recovered after 4 failures"),
    ]


async def test_a_file_that_is_not_there_leaves_no_rules(
    vendor: Vendor, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    source = Statsig("secret-key", offline=True, rules=Rules(bootstrap=tmp_path / "none.json"))
    async with running(refresher(source)):
        await until(lambda: bool(caplog.records))

    message = "Statsig bootstrap: cannot read the file: FileNotFoundError; no rules yet, lookups return their fallbacks"
    assert [record.getMessage() for record in caplog.records] == [message]


async def test_a_server_that_is_gone_and_back_is_no_different(vendor: Vendor) -> None:
    async with serving(Vendor()) as lost:
        made = refresher(statsig(lost))
        async with running(made):
            await made.wait_ready(5)
    async with running(made):
        await until(lambda: made.health().last_error == "connection refused")
        assert passes(made)
        lost.body = rules(2, gate("new"))
        async with serving(lost):
            await until(lambda: passes(made, "new"))


async def test_neither_the_log_nor_the_health_names_the_key(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "asyncsdk")
    vendor.script = [503, b"junk", 401]
    made = refresher(statsig(vendor))
    async with running(made):
        await until(lambda: not vendor.script)

    assert KEY not in caplog.text + repr(made.health()) + repr(statsig(vendor)) + repr(made.rules)


async def test_health_tells_how_old_the_rules_are(vendor: Vendor) -> None:
    now = [1_000_000]
    made = refresher(statsig(vendor), clock=lambda: now[0], poll_interval=60)
    assert (made.health().age, made.health().last_sync) == (None, None)
    async with running(made):
        await made.wait_ready(5)
        await until(lambda: made.health().last_sync is not None)
        now[0] += 90_000

    assert (made.health().age, made.health().last_sync, made.health().time_ms) == (90, 90, 1)


# --- a proxy that fails -------------------------------------------------------------------------------------------


class Proxied:
    """A network on which everything but the vendor itself is down."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.vendor_is_up = True

    async def fetch(self, request: Request) -> Response:
        name = "vendor" if request.url.startswith("https://api.statsigcdn.com/v2/") else "proxy"
        self.asked.append(name)
        await asyncio.sleep(0)
        return Response(200, body=NOTHING_NEW) if name == "vendor" and self.vendor_is_up else Response(503)


async def ask_through(network: Proxied, made: Refresher, times: int) -> None:
    task = asyncio.create_task(made.run(network))
    await until(lambda: len(network.asked) >= times)
    task.cancel()
    await asyncio.wait([task])


async def test_the_vendor_itself_is_asked_at_once_while_there_are_no_rules() -> None:
    network = Proxied()

    await ask_through(network, refresher(statsig(specs_url="https://proxy.example.com", fallback=True)), 4)

    assert network.asked[:4] == ["proxy", "vendor", "proxy", "vendor"]


async def test_later_on_the_vendor_itself_is_asked_after_every_fifth_failure() -> None:
    network = Proxied()
    network.vendor_is_up = False
    source = statsig(specs_url="https://proxy.example.com", fallback=True, bootstrap=rules())

    made = refresher(source)
    await ask_through(network, made, 12)

    assert network.asked[:12] == [*["proxy"] * 5, "vendor", *["proxy"] * 5, "vendor"]
    assert made.health().last_error == "status 503"


async def test_without_fallback_the_vendor_itself_is_never_asked() -> None:
    network = Proxied()

    await ask_through(network, refresher(statsig(specs_url="https://proxy.example.com")), 8)

    assert set(network.asked) == {"proxy"}


# --- watchers -----------------------------------------------------------------------------------------------------


async def test_a_watcher_hears_what_changed(vendor: Vendor) -> None:
    heard: list[RulesetChange] = []
    experiment = {**gate("test"), "entity": "experiment"}
    config = {**gate("prices"), "entity": "dynamic_config"}
    vendor.body = rules(1, gate("same"), gate("changes"), gate("goes"), layer_configs={"home": gate("home")})
    made = refresher(statsig(vendor))
    made.subscribe(heard.append)
    async with running(made):
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


async def test_a_condition_that_is_edited_changes_what_uses_it(vendor: Vendor) -> None:
    heard: list[RulesetChange] = []
    gates = gate("uses", conditions=("1", "2")), gate("does not", conditions=("2",)), gate("none")
    layer = {"home": gate("home", conditions=("3",)), "away": gate("away", conditions=("4", "5"))}
    conditions = {str(number): {"type": "public", "number": number} for number in range(50)}
    vendor.body = rules(1, *gates, layer_configs=layer, condition_map=conditions)
    made = refresher(statsig(vendor))
    made.subscribe(heard.append)
    async with running(made):
        await until(lambda: heard)
        edited = {key: value for key, value in conditions.items() if key != "5"} | {"1": {"type": "mystery"}, "new": {}}
        vendor.body = rules(2, *gates, layer_configs=layer, condition_map=edited)
        await until(lambda: len(heard) > 1)

    assert heard[1] == RulesetChange("Network", 2, changed={"gate": ("uses",), "layer": ("away",)})


async def test_a_watcher_hears_of_any_number_of_names(vendor: Vendor) -> None:
    heard: list[RulesetChange] = []
    vendor.body = rules(1, *[gate(f"gate-{number}") for number in range(700)])
    made = refresher(statsig(vendor))
    made.subscribe(heard.append)
    async with running(made):
        await until(lambda: heard)
        vendor.body = rules(2)
        await until(lambda: len(heard) > 1)

    assert len(heard[0].added["gate"]) == len(heard[1].removed["gate"]) == 700


async def test_a_watcher_that_fails_harms_nobody(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[RulesetChange] = []
    made = refresher(statsig(vendor))
    made.subscribe(lambda _: 1 / 0)
    made.subscribe(heard.append)
    async with running(made):
        await until(lambda: heard)

    assert passes(made)
    assert "ZeroDivisionError" in caplog.text
