"""The dev server's imitations of the vendors accept everything that is encoded."""

from typing import Any

import pytest
from hypothesis import given

from asyncsdk._model.events import Event, validate_event
from asyncsdk.dev.amplitude import AmplitudeServer
from asyncsdk.dev.messages import IncomingRequest as Received
from asyncsdk.dev.rudderstack import RudderStackServer
from asyncsdk.dev.statsig import StatsigServer
from asyncsdk.vendors._base import Refusal, Response, Verdict
from asyncsdk.vendors.amplitude import Amplitude
from asyncsdk.vendors.rudderstack import RudderStack
from asyncsdk.vendors.statsig import Statsig
from vendors.sample_events import EVENTS, MESSAGE_ID, NOW_MS, make
from vendors.strategies import events

PAIRS = [(Amplitude, AmplitudeServer), (RudderStack, RudderStackServer), (Statsig, StatsigServer)]
every_vendor = pytest.mark.parametrize(("kind", "server"), PAIRS, ids=lambda kind: kind.__name__)


def verdicts(kind: type, server: type, given_events: list[Event]) -> list[str]:
    """Send events to the imitated vendor, which must accept the request, and return its verdict on each event."""
    destination: Any = make(kind)
    chunks = [destination.encode(one, f"{MESSAGE_ID}-{n}", NOW_MS) for n, one in enumerate(given_events)]
    chunks = [chunk for chunk in chunks if not isinstance(chunk, Refusal)]
    if not chunks:
        return []
    request = destination.frame(chunks, NOW_MS)
    headers = {name.lower(): value for name, value in request.headers.items()}
    route = server().route("POST", request.canonical_path)
    answer = route.handle(
        Received("POST", request.canonical_path, headers=headers, body=request.body, now=NOW_MS / 1000)
    )
    verdict = destination.judge(Response(answer.status, {}, answer.body), chunks)
    assert verdict == Verdict(), answer.body
    return [one.verdict for one in answer.events]


@every_vendor
def test_every_kind_of_event_is_accepted(kind: type, server: type) -> None:
    found = verdicts(kind, server, EVENTS)

    assert found
    assert set(found) == {"accepted"}


@every_vendor
@given(given_event=events)
def test_any_valid_event_is_accepted(kind: type, server: type, given_event: Event) -> None:
    validate_event(given_event)

    assert set(verdicts(kind, server, [given_event])) <= {"accepted"}
