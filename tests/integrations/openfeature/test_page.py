"""The provider's page: its code runs as printed, and its tables agree with the code."""

from typing import Any

import pytest
from helpers import rule
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from readme.pages import OPENFEATURE, blocks, run, spans, table

from asyncsdk.dev import DevServer
from asyncsdk.integrations.openfeature import context
from integrations.openfeature.providers import config, gate, ruleset


async def test_the_lines_of_the_page_run(
    server: DevServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    names: dict[str, Any] = {}
    everybody = rule("all", True, "everybody")
    prices = config({"name": "Kaas"})
    server.set_ruleset(ruleset(feature_gates={"new_checkout": gate(everybody)}, dynamic_configs={"prices": prices}))

    await run(blocks(OPENFEATURE)[0], names)
    await names["main"]()

    assert capsys.readouterr().out == "Kaas\n"
    assert {event.name for event in server.accepted("statsig")} == {"new_checkout", "Checkout Opened", "prices"}


def test_the_page_names_every_attribute_that_is_a_field() -> None:
    listed = {name for row in table(OPENFEATURE, "Contexts") for cell in row[:2] for name in spans(cell)}

    assert listed == {*context._FIELDS, *context._SPELLINGS}


def test_the_page_names_every_reason_and_error() -> None:
    reasons = {row[0].strip("`") for row in table(OPENFEATURE, "Results", 0)}
    errors = {row[0].strip("`") for row in table(OPENFEATURE, "Results", 1)}

    assert reasons == {reason.value for reason in Reason} - {"CACHED", "UNKNOWN"}
    assert errors == {code.value for code in ErrorCode} - {"GENERAL"}
