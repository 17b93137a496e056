"""What is remembered, and for how long."""

from asyncsdk.dev.history import History, ReceivedRequest
from asyncsdk.dev.messages import ReceivedEvent


def enter(ledger: History, *names: str) -> list[str]:
    events = [ReceivedEvent("v", name, "u", "track", "e", {}, {}, key=name or None) for name in names]
    ledger.enter(ReceivedRequest(ledger.number(), "v", "POST", "/", [], 0.0, plain_size=10), events, "")
    return [event.verdict for event in events]


def test_a_copy_is_recognised_until_its_id_is_forgotten() -> None:
    ledger = History(keep=10, keep_bytes=1000, keep_ids=2)

    assert enter(ledger, "a", "b", "a") == ["accepted", "accepted", "duplicate"]
    assert enter(ledger, "c", "b", "a") == ["accepted", "duplicate", "accepted"]


def test_events_without_an_id_are_never_copies() -> None:
    assert enter(History(keep=10, keep_bytes=1000), "", "") == ["accepted", "accepted"]


def test_a_request_without_events_is_remembered() -> None:
    ledger = History(keep=10, keep_bytes=1000)

    enter(ledger)

    assert [request.number for request in ledger.requests] == [1]


def test_the_newest_is_remembered_however_big() -> None:
    ledger = History(keep=10, keep_bytes=1)

    enter(ledger, "a")
    enter(ledger, "b")

    assert [event.id for event in ledger.events] == ["b"]
