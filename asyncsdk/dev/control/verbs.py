"""The call of the page's "Try it": send one event with asyncsdk itself, and return its receipt.

A client is made for each call, and closed at its end. Like the client of an app it sends to the address of the server,
so that faults, rate limits and verdicts apply.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import attrs

from asyncsdk import Amplitude, AsyncSDKError, Client, Delivery, Limits, Receipt, RudderStack, Statsig
from asyncsdk.dev.control.calls import Call, CallError, Routes, take
from asyncsdk.dev.control.decisions import read_user
from asyncsdk.dev.received_event import Json

VERBS = ("track", "identify", "page", "screen", "group", "alias", "log_event")
_VENDORS = {"statsig": "Statsig", "rudderstack": "RudderStack", "amplitude": "Amplitude"}
PATIENCE = 5.0
"""Seconds to wait for the outcomes: enough to see a retry or two."""
_KEY = "try-it"


def routes(url: Callable[[], str], patience: float = PATIENCE) -> Routes:
    """Return the call.

    Args:
        url: Returns the server's address.
        patience: Seconds to wait for the outcomes.
    """

    async def send(call: Call) -> Json:
        return await _send(url(), call.match["verb"], await call.object(), patience)

    return {("POST", "verbs/{verb}"): send}


async def _send(url: str, verb: str, body: Mapping[str, Json], patience: float) -> Json:
    to = take(body, "to", list, list(_VENDORS))
    if verb not in VERBS:
        raise CallError(404, f"verb is one of {', '.join(VERBS)}, not {verb[:40]!r}")
    if not all(isinstance(vendor, str) and vendor in _VENDORS for vendor in to):
        raise CallError(400, f"to is a list of {', '.join(_VENDORS)}")
    limits = Limits(linger=0)
    statsig = Statsig(
        f"secret-{_KEY}", rules=None, log_event_url=f"{url}/v1/log_event", message_ids=True, limits=limits
    )
    rudderstack = RudderStack(_KEY, url, limits=limits)
    async with contextlib.AsyncExitStack() as stack:
        client = Client(statsig, rudderstack, Amplitude(_KEY, url=f"{url}/2/httpapi", limits=limits))
        await client.start()
        stack.push_async_callback(client.aclose, timeout=0.1)
        try:
            receipt = await _call(client, verb, body, {"All": False, **{_VENDORS[vendor]: True for vendor in to}})
        except (AsyncSDKError, TypeError, ValueError) as error:
            raise CallError(400, str(error)) from error
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await receipt
        outcomes = receipt.deliveries.items()
        return {
            "id": receipt.event_id,
            "vendors": {name.lower(): _show(delivery) for name, delivery in outcomes},
            "explain": receipt.explain(),
        }


async def _call(client: Client, verb: str, body: Mapping[str, Json], to: Mapping[str, Json]) -> Receipt:
    user, name = read_user(body.get("user")), take(body, "name", str, "")
    properties = take(body, "properties", dict)
    if verb == "identify":
        return await client.identify(user, properties, integrations=to)
    if verb == "alias":
        return await client.alias(name, user, integrations=to)
    if verb == "log_event":
        return await client.log_event(user, name, body.get("value"), properties, integrations=to)
    if verb == "page":
        return await client.page(user, name, properties, integrations=to)
    if verb == "screen":
        return await client.screen(user, name, properties, integrations=to)
    named = client.group if verb == "group" else client.track
    return await named(user, name, properties, integrations=to)


def _show(delivery: Delivery | None) -> dict[str, Json]:
    if delivery is None:
        return {"status": "pending", "reason": "no final outcome yet"}
    return attrs.asdict(delivery)
