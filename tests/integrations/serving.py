"""The pages of each framework on a real server, the client under test, and a browser that asks for pages."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from asyncsdk import Amplitude, Client, Limits, RudderStack, Rules, Statsig
from asyncsdk.dev import DevServer
from asyncsdk.stores import AssignmentStore

FRAMEWORKS = sorted(path.stem for path in (Path(__file__).parent / "apps").glob("[!_]*.py"))


def rule(value: object, condition: str, **more: object) -> dict[str, object]:
    return {
        "id": f"r-{value}",
        "name": "r",
        "passPercentage": 100,
        "conditions": [condition],
        "returnValue": value,
    } | more


RULES = {
    "has_updates": True,
    "time": 1000,
    "condition_map": {
        "everybody": {"type": "public"},
        "ada.lovelace": {"type": "user_field", "operator": "any", "targetValue": ["ada.lovelace"], "field": "userID"},
    },
    "feature_gates": {
        "open": {"enabled": True, "defaultValue": False, "rules": [rule(True, "everybody")]},
        "half": {"enabled": True, "defaultValue": False, "rules": [rule(True, "everybody", passPercentage=50)]},
        "hers": {"enabled": True, "defaultValue": False, "rules": [rule(True, "ada.lovelace")]},
    },
    "dynamic_configs": {
        "button": {
            "entity": "experiment",
            "enabled": True,
            "isActive": True,
            "defaultValue": {},
            "rules": [rule({"color": "green"}, "everybody", groupName="Test", isExperimentGroup=True)],
        },
    },
}


def client_of(vendors: DevServer, assignments: AssignmentStore | None = None, **options: Any) -> Client:
    """Build a client that is not started yet. Its long linger leaves delivery to `aclose`."""
    limits, url = Limits(linger=60, max_queued_events=100_000), vendors.url
    rules = Rules(specs_url=f"{url}/v2/download_config_specs", assignments=assignments)
    return Client(
        RudderStack("key", url, limits=limits),
        Amplitude("key", url=f"{url}/2/httpapi", limits=limits),
        Statsig("secret-key", log_event_url=f"{url}/v1/log_event", rules=rules, limits=limits),
        **options,
    )


Serve = Callable[..., AbstractAsyncContextManager["Browser"]]


class Browser:
    """Requests pages from a server, anonymously or as a user."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def get(self, page: str, user: str | None = None, **headers: str) -> Any:
        """Return the decoded JSON of a page."""
        async with self.ask(page, user, **headers) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    def ask(self, page: str, user: str | None = None, **headers: str) -> Any:
        """Return the response as an async context manager."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._session.get(f"{self.url}/{page}", headers=sent | ({"X-User": user} if user else {}))

    def socket(self, user: str, **options: Any) -> Any:
        """Return the websocket as an async context manager."""
        return self._session.ws_connect(f"{self.url}/socket", headers={"X-User": user}, **options)


async def ask_in_turn(url: str, page: str, users: Iterable[str]) -> list[object]:
    """Request a page as one user after another over a single raw connection, and return the decoded bodies."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    bodies: list[object] = []
    for user in users:
        writer.write(f"GET /{page} HTTP/1.1\r\nHost: localhost\r\nX-User: {user}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        bodies.append(orjson.loads(await reader.readexactly(length)))
    writer.close()
    await writer.wait_closed()
    return bodies
