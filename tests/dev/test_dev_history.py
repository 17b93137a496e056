"""What the history keeps, and for how long."""

from asyncsdk.dev.history import History, ReceivedRequest
from asyncsdk.dev.received_event import ReceivedEvent


def record(history: History, *names: str) -> list[str]:
    events = [ReceivedEvent("v", name, "u", "track", "e", {}, {}, key=name or None) for name in names]
    history.record(ReceivedRequest(history.next_number(), "v", "POST", "/", [], 0.0, plain_size=10), events, "")
    return [event.verdict for event in events]


def test_a_duplicate_is_detected_until_its_id_is_forgotten() -> None:
    history = History(keep=10, keep_bytes=1000, max_keys=2)

    assert record(history, "a", "b", "a") == ["accepted", "accepted", "duplicate"]
    assert record(history, "c", "b", "a") == ["accepted", "duplicate", "accepted"]


def test_events_without_an_id_are_never_duplicates() -> None:
    assert record(History(keep=10, keep_bytes=1000), "", "") == ["accepted", "accepted"]


def test_a_request_without_events_is_kept() -> None:
    history = History(keep=10, keep_bytes=1000)

    record(history)

    assert [request.number for request in history.requests] == [1]


def test_the_newest_is_kept_whatever_its_size() -> None:
    history = History(keep=10, keep_bytes=1)

    record(history, "a")
    record(history, "b")

    assert [event.id for event in history.events] == ["b"]
