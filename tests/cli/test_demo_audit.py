"""The audit: each way in which accounts can fail to add up is told."""

from typing import Any

import attrs
import pytest

from asyncsdk import Delivery, DestinationReport, Report
from asyncsdk.cli.demo.audit import Books, Seen, audit, see
from asyncsdk.dev import ReceivedEvent

DELIVERED = Delivery("Vendor", "delivered", 200, attempts=1)
SKIPPED = Delivery("Vendor", "skipped", reason="no such call")
REPORT = DestinationReport(accepted=3, delivered=2, skipped={"no such call": 1})


def arrived(event_id: str, verdict: str = "accepted") -> ReceivedEvent:
    return ReceivedEvent("vendor", event_id, "ada", "track", "Viewed", {}, {}, verdict=verdict)


def books(report: DestinationReport = REPORT, **changes: Any) -> Books:
    """Three events, two of them delivered: by default it all adds up."""
    right = Books(
        given=3,
        verbs={"a": "track", "b": "track", "c": "alias"},
        deliveries={"Vendor": [("a", DELIVERED), ("b", DELIVERED), ("c", SKIPPED)]},
        report=Report({"Vendor": report}, seconds=0.1, complete=True),
        seen={"Vendor": Seen(2, [arrived("a"), arrived("b"), arrived("a", "duplicate")])},
    )
    return attrs.evolve(right, **changes)


def test_accounts_that_add_up_have_no_problems() -> None:
    assert audit(books()) == []


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (books(unanswered=["the shop answered 500 to /"]), "the shop answered 500 to /"),
        (books(given=4), "the shop made 4 events, and the client was given 3"),
        (books(given=4), "Vendor: 4 events were given, and the report says 3"),
        (books(attrs.evolve(REPORT, delivered=3)), "Vendor: the report's outcomes are 4, not 3"),
        (books(attrs.evolve(REPORT, skipped={}, dropped={"deadline": 1})), "Vendor: 1 events are dropped"),
        (books(attrs.evolve(REPORT, skipped={}, abandoned=1)), "Vendor: 1 events are abandoned"),
        (books(attrs.evolve(REPORT, skipped={}, pending=1)), "Vendor: 1 events are pending"),
        (
            books(deliveries={"Vendor": [("a", DELIVERED), ("a", DELIVERED), ("b", SKIPPED), ("c", SKIPPED)]}),
            "Vendor: 1 events have several outcomes",
        ),
        (
            books(deliveries={"Vendor": [("a", DELIVERED), ("b", DELIVERED)]}),
            "Vendor: 1 events have no outcome, or have one without having been given",
        ),
        (
            books(deliveries={"Vendor": [("a", DELIVERED), ("b", SKIPPED), ("c", SKIPPED)]}),
            "Vendor: 1 deliveries were announced, and the report says 2",
        ),
        (
            books(seen={"Vendor": Seen(1, [arrived("a")])}),
            "Vendor: 1 events were delivered, says the client, and never arrived",
        ),
        (
            books(seen={"Vendor": Seen(1, [arrived("a"), arrived("b"), arrived("c")])}),
            "Vendor: 1 events arrived, and the client does not say so",
        ),
        (
            books(seen={"Vendor": Seen(2, [arrived("a"), arrived("a"), arrived("b")])}),
            "Vendor: 1 events were kept more than once",
        ),
    ],
)
def test_what_does_not_add_up_is_told(wrong: Books, problem: str) -> None:
    assert problem in audit(wrong)


def shown(name: str = "sale", user: str = "ada", rule: str = "all") -> ReceivedEvent:
    metadata = {"gate": name, "gateValue": "true", "ruleID": rule}
    return ReceivedEvent("vendor", "", user, "gate_exposure", name, {"metadata": metadata}, {})


def shop(*exposures: ReceivedEvent, delivered: int = 1, **changes: Any) -> Books:
    """Ada looked at the gate `sale`: by default it all adds up."""
    report = attrs.evolve(REPORT, exposures=DestinationReport(accepted=delivered, delivered=delivered))
    seen = {"Vendor": Seen(2, [arrived("a"), arrived("b")], exposures)}
    return books(report, **{"seen": seen, "looks": {("ada", "sale")}, **changes})


def test_exposures_that_add_up_have_no_problems() -> None:
    assert audit(shop(shown())) == []
    assert audit(shop(shown(), shown(rule="some"), delivered=2)) == []


@pytest.mark.parametrize(
    ("wrong", "problems"),
    [
        (shop(delivered=0), ["1 times a customer was shown something, and no exposure says so"]),
        (shop(shown(), looks=set()), ["1 exposures are of what nobody was shown"]),
        (shop(shown(), shown(), delivered=2), ["1 exposures were sent again"]),
        (shop(shown(), delivered=2), ["Vendor: 1 exposures were given, and the report says 2"]),
    ],
)
def test_exposures_that_do_not_add_up_are_told(wrong: Books, problems: list[str]) -> None:
    assert audit(wrong) == problems


def test_exposures_are_seen_apart_from_events() -> None:
    event, exposure, other = arrived("a"), shown(), attrs.evolve(arrived("b"), vendor="other")

    assert see("vendor", [], [event, exposure, other]) == Seen(0, [event], [exposure])


def test_an_event_that_was_refused_did_not_arrive() -> None:
    refused = Seen(1, [arrived("a"), arrived("b", "rejected: no id")])

    assert audit(books(seen={"Vendor": refused})) == [
        "Vendor: 1 events were delivered, says the client, and never arrived"
    ]
    assert refused.refusals() == {"rejected: no id": 1}
