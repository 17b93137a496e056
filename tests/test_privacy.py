"""Private data stays private: a canary is in each key, private attribute and property, and in no output."""

import logging
import traceback

import pytest

from asyncsdk import Amplitude, Client, InvalidEventError, Limits, RudderStack, Statsig, User
from asyncsdk.dev import DevServer, Fault

KEY = "secret-canary-of-a-key"
PROPERTY = "canary-of-a-property"
PRIVATE = "canary-of-a-private-attribute"
LIMITS = Limits(linger=0.01, retry_initial=0.01, retry_max=0.02, probe_interval=0.02)


async def test_keys_and_values_are_in_no_log_error_or_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    async with DevServer() as server:
        server.fault(None, Fault(401), times=3)
        server.fault(None, Fault(503), times=3)
        server.fault(None, Fault(400), times=3)
        destinations = (
            Statsig(KEY, log_event_url=f"{server.url}/v1/log_event", limits=LIMITS, rules=None),
            RudderStack(KEY, server.url, limits=LIMITS),
            Amplitude(KEY, url=f"{server.url}/2/httpapi", limits=LIMITS),
        )
        client = Client(*destinations, on_delivery=lambda event_id, delivery: 1 / 0)
        client.add_middleware(lambda payload, next: 1 / 0 if payload.extra else next(payload))
        async with client:
            user = User("ada-lovelace", private_attributes={"ssn": PRIVATE}, custom={"plan": PROPERTY})
            receipt = await client.track(user, "a", {"card": PROPERTY})
            await client.track(user, "a", {"card": PROPERTY}, extra={"fail": True})
            with pytest.raises(InvalidEventError) as raised:
                await client.track(user, "a", {"card": PROPERTY, "odd": object()})
            await receipt
            report = await client.flush()
            seen += [repr(client), repr(client.health()), repr(receipt), receipt.explain(), repr(report), str(report)]
        seen += [repr(destination) for destination in destinations]
        seen += ["".join(traceback.format_exception(raised.value, chain=True)).split("tests/", 1)[0], str(raised.value)]
        seen += [record.getMessage() for record in caplog.records if record.name.startswith("asyncsdk")]
        seen.append(caplog.text)
        bodies = [repr(request.json) for request in server.requests]

    for text in seen:
        assert KEY not in text
        assert PROPERTY not in text
        assert PRIVATE not in text
    assert not any(PRIVATE in body for body in bodies)
    assert any(PROPERTY in body for body in bodies)


async def test_a_private_attribute_is_not_in_a_users_repr() -> None:
    assert PRIVATE not in repr(User("ada", private_attributes={"ssn": PRIVATE}))


async def test_email_and_custom_fields_go_to_statsig_only() -> None:
    user = User("ada-lovelace", email="ada@example.com", custom={"plan": "pro"}, custom_ids={"companyID": "c-7"})
    async with DevServer() as server:
        async with Client(
            Statsig(KEY, log_event_url=f"{server.url}/v1/log_event", limits=LIMITS, rules=None),
            RudderStack(KEY, server.url, limits=LIMITS),
            Amplitude(KEY, url=f"{server.url}/2/httpapi", limits=LIMITS),
        ) as client:
            await client.track(user, "a")
        bodies = {event.vendor: repr(event.body) for event in server.accepted()}

    assert "ada@example.com" in bodies["statsig"]
    for vendor in ("rudderstack", "amplitude"):
        for private in ("ada@example.com", "pro'", "c-7"):
            assert private not in bodies[vendor]
