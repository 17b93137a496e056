"""Find the handler of a call, and turn what it returns or raises into a response."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import orjson
from aiohttp import web

from asyncsdk.dev.control.calls import Call, CallError, Handler, LocalCall, Routes
from asyncsdk.dev.received_event import Json

PREFIX = "/__dev/"

_PART = re.compile(r"\{(\w+)\}")
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def respond(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Build a response with a JSON body."""
    body = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    return web.Response(
        status=status, body=body, content_type="application/json", headers={**HEADERS, **(headers or {})}
    )


class Router:
    """The calls of the control API.

    Args:
        routes: Handlers by method and path, without the prefix.
    """

    def __init__(self, *routes: Routes) -> None:
        self._paths: dict[str, tuple[re.Pattern[str], dict[str, Handler]]] = {}
        for group in routes:
            for (method, path), handler in group.items():
                _, handlers = self._paths.setdefault(path, (_pattern(path), {}))
                handlers[method] = handler

    @property
    def calls(self) -> Sequence[tuple[str, str]]:
        """Method and path of every call."""
        return [(method, path) for path, (_, handlers) in self._paths.items() for method in handlers]

    async def invoke(
        self, method: str, path: str, parameters: Mapping[str, str], body: Json = None, **parts: str
    ) -> Json:
        """Make a call from inside the server.

        Args:
            method: Its method.
            path: Its path as in its route, without the prefix.
            parameters: The query.
            body: The JSON of the body.
            **parts: The parts of the path that the route names.

        Returns:
            The JSON of the answer.

        Raises:
            CallError: The call cannot be answered.
        """
        _, handlers = self._paths[path]
        value = await handlers[method](LocalCall(parts, parameters=parameters, body=body))
        return orjson.loads(value.text or "null") if isinstance(value, web.Response) else value

    async def handle(self, request: web.Request, path: str) -> web.StreamResponse:
        """Answer a call.

        Args:
            request: The request.
            path: Its path without the prefix, still quoted.
        """
        for pattern, handlers in self._paths.values():
            match = pattern.fullmatch(path)
            if match is None:
                continue
            handler = handlers.get("GET" if request.method == "HEAD" else request.method)
            if handler is None:
                allowed = ", ".join(handlers)
                return respond({"error": f"this address takes {allowed}"}, 405, {"Allow": allowed})
            return await _answer(
                handler, Call(request, {key: unquote(text) for key, text in match.groupdict().items()})
            )
        return respond({"error": f"there is no {PREFIX}{path[:200]}", "calls": sorted(set(self._paths))}, 404)


async def _answer(handler: Handler, call: Call) -> web.StreamResponse:
    try:
        value = await handler(call)
    except CallError as error:
        return respond({"error": str(error), **error.more}, error.status)
    return value if isinstance(value, web.StreamResponse) else respond(value)


def _pattern(path: str) -> re.Pattern[str]:
    # Fixed paths are listed before those with parts of the same length.
    return re.compile(_PART.sub(r"(?P<\1>[^/]+)", path))
