"""Events in the vendors' own forms, sent to the dev server without a client."""

from typing import Any

import aiohttp

from asyncsdk.dev import DevServer

Json = dict[str, Any]


async def to_rudderstack(http: aiohttp.ClientSession, server: DevServer, *events: Json) -> None:
    batch = [{"type": "track", "userId": "ada", "event": "Order", "properties": {}, **event} for event in events]
    await http.post(
        f"{server.url}/v1/batch", json={"batch": batch}, headers={"Authorization": "Basic d3JpdGUta2V5Og=="}
    )


async def to_amplitude(http: aiohttp.ClientSession, server: DevServer, *events: Json) -> None:
    sent = [{"user_id": "ada-lovelace", "event_type": "Order", **event} for event in events]
    await http.post(f"{server.url}/2/httpapi", json={"api_key": "api-key-1234", "events": sent})


async def to_statsig(http: aiohttp.ClientSession, server: DevServer, *events: Json) -> None:
    sent = [{"eventName": "order", "user": {"userID": "ada"}, "metadata": {}, **event} for event in events]
    await http.post(f"{server.url}/v1/log_event", json={"events": sent}, headers={"statsig-api-key": "secret-key"})


def exposure(gate: str, value: bool, user: str = "ada") -> Json:
    metadata = {"gate": gate, "gateValue": str(value).lower(), "ruleID": "all"}
    return {"eventName": "statsig::gate_exposure", "user": {"userID": user}, "metadata": metadata}
