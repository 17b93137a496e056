"""Names that lookups ask for and the rules do not have: said once, counted, bounded."""

import logging
from typing import Any

import pytest

from asyncsdk import Client, ConfigurationError
from asyncsdk._rules.ruleset import Kind
from refresh.vendor import ADA, Vendor, gate, make_refresher, rules, running, statsig, until


async def test_an_unknown_name_is_said_once_and_counted(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "asyncsdk.rules")
    client = Client(statsig(offline=True, bootstrap=rules()))
    async with client:
        for name in ("gate", "gaet", "gaet", "a\nb"):
            await client.check_gate("ada", name)
        await client.get_experiment("ada", "gate")
        (await client.get_parameter_store("ada", "store")).get("x", 1)

        health = client.health().rules
        assert health is not None
        assert health.unknown_names == 4
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG] == [
        "Statsig: the rules have no gate named 'gaet'",
        r"Statsig: the rules have no gate named 'a\nb'",
        "Statsig: the rules have no experiment named 'gate'",
        "Statsig: the rules have no parameter store named 'store'",
    ]


async def test_a_name_that_is_created_later_is_not_counted_any_more(vendor: Vendor) -> None:
    async with running(make_refresher(statsig(vendor))) as refresher:
        await refresher.wait_ready(5)
        refresher.rules.gate(ADA, "new")
        assert refresher.health().unknown_names == 1
        vendor.body = rules(2, gate("new"))
        await until(lambda: refresher.health().time_ms == 2)

        assert refresher.health().unknown_names == 0


async def test_the_number_and_length_of_unknown_names_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "asyncsdk.rules")
    kinds: tuple[Kind, ...] = ("gate", "layer")
    async with running(make_refresher(statsig(offline=True, bootstrap=rules()))) as refresher:
        await refresher.wait_ready(5)
        for number in range(1_100):
            refresher.rules.lookup(kinds[number % 2], ADA, f"{number}" + "x" * 10_000)

        assert refresher.health().unknown_names == 1_000
    assert max(len(record.getMessage()) for record in caplog.records) < 300


async def test_without_rules_no_name_is_unknown(vendor: Vendor) -> None:
    vendor.script = [503] * 10_000
    async with running(make_refresher(statsig(vendor))) as refresher:
        await until(lambda: refresher.health().failures)
        refresher.rules.gate(ADA, "gate")

        assert refresher.health().unknown_names == 0


@pytest.mark.parametrize("wrong", ["md5", "DJB2", None, ["djb2"], ""])
def test_a_hash_that_no_client_reads_is_an_error(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="`hash` is 'djb2'"):
        Client(statsig(offline=True, bootstrap=rules())).bootstrap("ada", hash=wrong)
