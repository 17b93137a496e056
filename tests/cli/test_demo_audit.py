"""The audit: each way in which the numbers can fail to add up is reported."""

from typing import Any

import attrs
import pytest

from asyncsdk import Delivery, DestinationReport, Report
from asyncsdk.cli.demo.audit import Arrivals, Evidence, arrivals_at, audit
from asyncsdk.dev import ReceivedEvent

DELIVERED = Delivery("Vendor", "delivered", 200, attempts=1)
SKIPPED = Delivery("Vendor", "skipped", reason="no such call")
REPORT = DestinationReport(accepted=3, delivered=2, skipped={"no such call": 1})


def arrived(event_id: str, verdict: str = "accepted") -> ReceivedEvent:
    return ReceivedEvent("vendor", event_id, "ada", "track", "Viewed", {}, {}, verdict=verdict)


def evidence(report: DestinationReport = REPORT, **changes: Any) -> Evidence:
    """Return evidence about three events, two of them delivered. Without changes it adds up."""
    consistent = Evidence(
        expected_events=3,
        verbs={"a": "track", "b": "track", "c": "alias"},
        deliveries={"Vendor": [("a", DELIVERED), ("b", DELIVERED), ("c", SKIPPED)]},
        report=Report({"Vendor": report}, seconds=0.1, complete=True),
        arrivals={"Vendor": Arrivals(2, [arrived("a"), arrived("b"), arrived("a", "duplicate")])},
    )
    return attrs.evolve(consistent, **changes)


def test_numbers_that_add_up_have_no_problems() -> None:
    assert audit(evidence()) == []


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (evidence(failures=["the shop answered 500 to /"]), "the shop answered 500 to /"),
        (evidence(expected_events=4), "4 events were expected, but the client received 3"),
        (evidence(expected_events=4), "Vendor: 4 events were expected, but the report has 3"),
        (evidence(attrs.evolve(REPORT, delivered=3)), "Vendor: the outcomes in the report add up to 4, not to 3"),
        (evidence(attrs.evolve(REPORT, skipped={}, dropped={"deadline": 1})), "Vendor: dropped events: 1"),
        (evidence(attrs.evolve(REPORT, skipped={}, abandoned=1)), "Vendor: abandoned events: 1"),
        (evidence(attrs.evolve(REPORT, skipped={}, pending=1)), "Vendor: pending events: 1"),
        (
            evidence(deliveries={"Vendor": [("a", DELIVERED), ("a", DELIVERED), ("b", SKIPPED), ("c", SKIPPED)]}),
            "Vendor: events with more than one outcome: 1",
        ),
        (
            evidence(deliveries={"Vendor": [("a", DELIVERED), ("b", DELIVERED)]}),
            "Vendor: events without an outcome, or with one but never tracked: 1",
        ),
        (
            evidence(deliveries={"Vendor": [("a", DELIVERED), ("b", SKIPPED), ("c", SKIPPED)]}),
            "Vendor: 1 events were reported to on_delivery as delivered, but the report has 2",
        ),
        (
            evidence(arrivals={"Vendor": Arrivals(1, [arrived("a")])}),
            "Vendor: events reported as delivered that did not arrive: 1",
        ),
        (
            evidence(arrivals={"Vendor": Arrivals(1, [arrived("a"), arrived("b"), arrived("c")])}),
            "Vendor: events that arrived but were not reported as delivered: 1",
        ),
        (
            evidence(arrivals={"Vendor": Arrivals(2, [arrived("a"), arrived("a"), arrived("b")])}),
            "Vendor: events accepted more than once: 1",
        ),
    ],
)
def test_numbers_that_do_not_add_up_are_reported(wrong: Evidence, problem: str) -> None:
    assert problem in audit(wrong)


def shown(name: str = "sale", user: str = "ada", rule: str = "all") -> ReceivedEvent:
    metadata = {"gate": name, "gateValue": "true", "ruleID": rule}
    return ReceivedEvent("vendor", "", user, "gate_exposure", name, {"metadata": metadata}, {})


def shop(*exposures: ReceivedEvent, delivered: int = 1, **changes: Any) -> Evidence:
    """Return evidence about one lookup, of the gate `sale` for Ada. With one exposure it adds up."""
    report = attrs.evolve(REPORT, exposures=DestinationReport(accepted=delivered, delivered=delivered))
    arrivals = {"Vendor": Arrivals(2, [arrived("a"), arrived("b")], exposures)}
    return evidence(report, **{"arrivals": arrivals, "lookups": {("ada", "sale")}, **changes})


def test_exposures_that_add_up_have_no_problems() -> None:
    assert audit(shop(shown())) == []
    assert audit(shop(shown(), shown(rule="some"), delivered=2)) == []


@pytest.mark.parametrize(
    ("wrong", "problems"),
    [
        (shop(delivered=0), ["lookups without an exposure: 1"]),
        (shop(shown(), lookups=set()), ["exposures without a lookup: 1"]),
        (shop(shown(), shown(), delivered=2), ["exposures sent more than once: 1"]),
        (shop(shown(), delivered=2), ["Vendor: 1 exposures were expected, but the report has 2"]),
    ],
)
def test_exposures_that_do_not_add_up_are_reported(wrong: Evidence, problems: list[str]) -> None:
    assert audit(wrong) == problems


def test_exposures_are_separated_from_events() -> None:
    event, exposure, other = arrived("a"), shown(), attrs.evolve(arrived("b"), vendor="other")

    assert arrivals_at("vendor", [], [event, exposure, other]) == Arrivals(0, [event], [exposure])


def test_a_rejected_event_did_not_arrive() -> None:
    rejected = Arrivals(1, [arrived("a"), arrived("b", "rejected: no id")])

    assert audit(evidence(arrivals={"Vendor": rejected})) == [
        "Vendor: events reported as delivered that did not arrive: 1"
    ]
    assert rejected.refusals() == {"rejected: no id": 1}
