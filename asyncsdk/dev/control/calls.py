"""One call of the control API: its arguments, checked, and its errors."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import attrs
import orjson
from aiohttp import web

from asyncsdk.dev.http import read_body
from asyncsdk.dev.received_event import Json

MAX_JSON = 32 * 1024 * 1024
"""Maximum size of the JSON in a call, in bytes."""


class CallError(Exception):
    """A call that cannot be answered.

    Args:
        status: HTTP status.
        text: What is wrong, and what to do.
        more: Further fields of the answer.
    """

    def __init__(self, status: int, text: str, **more: Json) -> None:
        super().__init__(text)
        self.status = status
        self.more = more


@attrs.frozen(eq=False, slots=False)
class Call:
    """One call.

    Attributes:
        http: The request.
        match: Parts of the path.
    """

    http: web.Request
    match: Mapping[str, str]

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the request."""
        return self.http.headers

    @property
    def query(self) -> Mapping[str, str]:
        """The first value of each parameter."""
        return {name: self.http.query.getone(name) for name in self.http.query}

    def number(self, name: str, default: int, maximum: int = 2**53) -> int:
        """Return a parameter that is a whole number.

        Raises:
            CallError: It is something else.
        """
        text = self.query.get(name, "")
        if not text:
            return default
        if not text.isdecimal() or len(text) > 16 or int(text) > maximum:
            raise CallError(400, f"{name} is a whole number from 0 to {maximum}, not {text[:40]!r}")
        return int(text)

    def seconds(self, name: str, default: float, maximum: float = 60.0) -> float:
        """Return a parameter that is a time in seconds.

        Raises:
            CallError: It is something else.
        """
        text = self.query.get(name, "")
        try:
            value = float(text) if text else default
        except ValueError:
            value = -1.0
        if not 0 <= value <= maximum:
            raise CallError(400, f"{name} is a number of seconds from 0 to {maximum:g}, not {text[:40]!r}")
        return value

    async def json(self) -> Json:
        """Return the JSON in the body.

        Raises:
            CallError: There is none, or it is too large.
        """
        body = await read_body(self.http, MAX_JSON)
        if body is None:
            raise CallError(413, f"the body is larger than {MAX_JSON:,} bytes")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise CallError(400, f"the body is not JSON: {error}") from error

    async def object(self) -> dict[str, Json]:
        """Return the JSON object in the body.

        Raises:
            CallError: It is something else.
        """
        value = await self.json()
        if not isinstance(value, dict):
            raise CallError(400, "the body is not a JSON object")
        return value


@attrs.frozen(eq=False)
class LocalCall(Call):
    """A call from inside the server, without a request.

    Attributes:
        parameters: The query.
        body: The JSON in the body.
    """

    http: web.Request = attrs.field(default=None, init=False)
    parameters: Mapping[str, str] = attrs.field(kw_only=True)
    body: Json = attrs.field(kw_only=True)

    @property
    def headers(self) -> Mapping[str, str]:
        """There are none."""
        return {}

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters."""
        return self.parameters

    async def json(self) -> Json:
        """Return the body."""
        return self.body


Handler: TypeAlias = Callable[[Call], Awaitable[Json]]
"""Answers a call: with a value to send as JSON, or with a response."""
Routes: TypeAlias = Mapping[tuple[str, str], Handler]
"""Handlers by method and path; `{name}` in a path stands for one of its parts, which may be quoted."""


def take(body: Mapping[str, Json], name: str, kind: type, default: Json = None) -> Json:
    """Return a field of a body if it has the type, or the default if it is absent or null.

    Raises:
        CallError: It has another type.
    """
    value = body.get(name)
    if value is None:
        return default
    # A bool is an int in Python, but not a number in JSON.
    is_right = isinstance(value, int | float) if kind is float else isinstance(value, kind)
    if not is_right or (isinstance(value, bool) and kind is not bool):
        raise CallError(400, f"{name} has to be {_NAMES[kind]}")
    return value


_NAMES: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
