"""`to_dict`: reports in a form that any JSON encoder takes."""

import json
import math

import attrs
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from helpers import ADA, amplitude, statsig_with_rules

import asyncsdk
from asyncsdk import Client, Delivery, Health, Report, RulesetChange, RulesHealth
from asyncsdk._model.plain import Plain
from asyncsdk.dev import DevServer


async def test_the_health_of_a_client_is_json(server: DevServer, tmp_path: object) -> None:
    async with Client(statsig_with_rules(server), amplitude(server), spool=str(tmp_path)) as client:
        await client.track(ADA, "x")
        await client.check_gate(ADA, "open")
        report = await client.flush()
        health = client.health()

    shown = json.loads(json.dumps(health.to_dict(), allow_nan=False))
    assert shown["destinations"]["Amplitude"]["counts"]["delivered"] == 1
    assert (shown["state"], shown["rules"]["source"], shown["enabled"]) == ("running", "Bootstrap", True)
    assert json.loads(json.dumps(report.to_dict()))["destinations"]["Statsig"]["exposures"]["delivered"] == 1


def test_each_field_is_in_it() -> None:
    health = Health("new", {}, rules=RulesHealth("NoValues"))

    assert list(health.to_dict()) == [field.name for field in attrs.fields(Health)]
    assert health.to_dict()["rules"] == attrs.asdict(health)["rules"]


def test_tuples_are_lists_and_what_is_not_finite_is_none() -> None:
    change = RulesetChange("Network", added={"gate": ("a", "b")})

    assert change.to_dict()["added"] == {"gate": ["a", "b"]}
    assert Report({}, math.inf, complete=True).to_dict()["seconds"] is None


@pytest.mark.parametrize("name", [name for name in asyncsdk.__all__ if name.endswith(("Health", "Report", "Change"))])
def test_each_report_has_it(name: str) -> None:
    assert issubclass(getattr(asyncsdk, name), Plain)


def test_an_outcome_has_it() -> None:
    assert Delivery("Statsig", "delivered", 202).to_dict()["code"] == 202


def test_a_handler_of_fastapi_returns_it() -> None:
    app, client = FastAPI(), Client(enabled=False)
    app.get("/health")(lambda: client.health().to_dict())

    assert TestClient(app).get("/health").json() == client.health().to_dict()
