"""The call that returns the OpenAPI document of all calls; a test compares it with the routes."""

from collections.abc import Callable
from pathlib import Path

import orjson

from asyncsdk._version import __version__
from asyncsdk.dev.control.calls import Call, Routes
from asyncsdk.dev.received_event import Json

DOCUMENT = Path(__file__).with_name("openapi.json")


def routes(url: Callable[[], str]) -> Routes:
    """Return the call.

    Args:
        url: Returns the server's address.
    """

    async def document(_: Call) -> Json:
        document = orjson.loads(DOCUMENT.read_bytes())
        document["info"]["version"] = __version__
        document["servers"] = [{"url": url()}]
        return document

    return {("GET", "openapi.json"): document}
