"""The search language: what each word matches, and what is said of a word that cannot be read."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk.dev.control.rows import Row
from asyncsdk.dev.control.search import KEYS, parse
from asyncsdk.dev.received_event import ReceivedEvent

NOW = datetime(2026, 11, 30, 14, 30, tzinfo=UTC)
BODY = {"properties": {"sku": "teapot", "price": 5}, "more": "x" * 100}


def row(verb: str = "", **changes: Any) -> Row:
    fields = {
        "vendor": "amplitude", "id": "m-17", "user": "ada.lovelace", "kind": "event", "name": "Order Completed",
        "body": BODY, "stored": None, "verdict": "rejected: too short", "request": 7, "attempt": 2,
        "at": NOW.timestamp(), "run": "r1", "client": "shop",
    }  # fmt: skip
    return Row(ReceivedEvent(**fields | changes), {"verb": verb} if verb else {})


@pytest.mark.parametrize(
    "query",
    [
        "", "vendor:amplitude", "vendor:amp", "vendor:statsig,ampli", "-vendor:statsig", "type:event", "TYPE:event",
        'name:"Order Completed"', "name:order", "name:zzz,completed", "-name:page", "user:ada", "is:rejected",
        "is:accepted,retried", "-is:exposure", "id:m-1", "attempt:2", "attempt:>1", "attempt:>=2", "attempt:<3",
        "attempt:<=2", "size:>100", "size:<1k", "size:<0.1m", "after:14:30", "after:14:29:59", "before:14:30:01",
        "after:2026-11-30", "before:2026-11-30T14:31", "after:2026-11-30T14:30+00:00", "request:7", "prop:sku=tea",
        "prop:sku", "prop:price=5", "run:r1", "client:sho", "short", '"completed ada"', "m-17", "-teapot",
        'vendor:amplitude name:"Order" user:u1,ada is:rejected after:14:00 -name:page',
    ],
)  # fmt: skip
def test_a_word_matches(query: str) -> None:
    found = parse(query, NOW)

    assert (found.matches(row()), found.errors) == (True, [])


@pytest.mark.parametrize(
    "query",
    [
        "vendor:statsig", "-vendor:amp", "type:track", "name:page", "user:bob", "is:accepted", "-is:retried", "id:17",
        "attempt:1", "attempt:>2", "size:>1m", "after:14:31", "before:14:30", "request:8", "prop:sku=cup", "prop:cup",
        "run:r", "client:worker", "nothing", "vendor:amplitude is:lost",
    ],
)  # fmt: skip
def test_a_word_does_not_match(query: str) -> None:
    assert not parse(query, NOW).matches(row())


@pytest.mark.parametrize(
    ("query", "matches"),
    [('name:"Order, paid"', True), ('name:", lost"', False), ('user:"ada,bob"', False), ("name:order,lost", True)],
)
def test_a_comma_in_quotes_is_part_of_the_value(query: str, matches: bool) -> None:
    assert parse(query, NOW).matches(row(name="Order, paid")) is matches


@pytest.mark.parametrize("query", ["request:" + "9" * 5_000, "request:\u0663", 'is:"rejected,lost"'])
def test_a_value_that_no_event_can_have_is_an_error_not_a_failure(query: str) -> None:
    found = parse(query, NOW)

    assert (found.matches(row()), len(found.errors)) == (True, 1)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("vendr:x", 'There is no "vendr:". Did you mean "vendor:"?'),
        ("colour:x", 'There is no "colour:". Keys: vendor, type'),
        ("is:fine", 'is: knows accepted, duplicate, rejected, lost, retried, exposure, not "fine"'),
        ("vendor:mixpanel", "vendor: knows statsig, rudderstack, amplitude, not"),
        ("name:", "name: wants name of the event"),
        ("after:noon", "after: wants 14:02"),
        ("after:25:00", "after: wants 14:02"),
        ("before:", "before: wants 14:02"),
        ("size:big", "size: wants >1k"),
        ("attempt:", "attempt: wants 2, >1"),
        ("request:x", "request: wants number of the request"),
        ('is:""', "is: wants accepted"),
        (f"{'z' * 40}:x", "There is no"),
    ],
)
def test_a_word_that_cannot_be_read_is_ignored_and_explained(query: str, error: str) -> None:
    found = parse(f"is:rejected {query}", NOW)

    assert found.matches(row())
    assert not found.matches(row(verdict="accepted"))
    assert [(one["at"], one["text"]) for one in found.errors] == [(12, query)]
    assert str(found.errors[0]["error"]).startswith(error)


def test_the_verb_of_a_receipt_is_the_type() -> None:
    assert parse("type:track", NOW).matches(row("track"))
    assert parse("type:exposure is:exposure", NOW).matches(row(kind="gate_exposure"))


@given(st.text(max_size=60))
def test_any_text_is_a_query(text: str) -> None:
    parse(text, NOW).matches(row())


@given(st.lists(st.tuples(st.sampled_from([*KEYS, "nokey"]), st.text(max_size=10)), max_size=4))
def test_a_negation_matches_the_others(words: list[tuple[str, str]]) -> None:
    for key, value in words:
        plain, negated = (parse(f'{sign}{key}:"{value}"', NOW) for sign in ("", "-"))

        if not plain.errors and len(plain.tokens) == 1:
            assert plain.matches(row()) is not negated.matches(row())
