"""The Model Context Protocol at `/__dev/mcp`: an editor or agent searches events, explains decisions, asserts.

JSON-RPC over HTTP, each message answered with JSON: initialize, ping, tools/list and tools/call. There is no session
and no stream, which the protocol leaves to the server. The package `mcp` would bring pydantic, starlette, uvicorn and
ten more (12 MB, 2.3 s to import) for these four methods; tests use it as the client.

Source: https://modelcontextprotocol.io/specification/2025-06-18/basic/transports (streamable HTTP).
"""

from collections.abc import Awaitable, Callable, Mapping

import orjson
from aiohttp import web

from asyncsdk._version import __version__
from asyncsdk.dev.control.calls import MAX_JSON, Call, CallError, Routes
from asyncsdk.dev.control.mcp_tools import INSTRUCTIONS, TOOLS, ToolError, call_tool
from asyncsdk.dev.http import read_body
from asyncsdk.dev.received_event import Json

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Versions of the protocol, newest first; the messages of these four methods are the same in all."""
Invoke = Callable[..., Awaitable[Json]]
_PARSE, _REQUEST, _METHOD, _PARAMETERS = -32700, -32600, -32601, -32602


class RpcError(Exception):
    """An error of JSON-RPC: a code and a text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def routes(invoke: Invoke) -> Routes:
    """Return the call.

    Args:
        invoke: Makes a call of the control API.
    """

    async def post(call: Call) -> Json:
        body = await read_body(call.http, MAX_JSON)
        try:
            message = orjson.loads(body or b"")
        except orjson.JSONDecodeError as error:
            return _error(None, RpcError(_PARSE, f"not JSON: {error}"))
        if not isinstance(message, list):
            answer = await _answer(message, invoke)
            return web.Response(status=202) if answer is None else answer
        # Batches were removed in 2025-06-18; clients of 2025-03-26 may send them.
        answers = [answer for one in message if (answer := await _answer(one, invoke)) is not None]
        return answers or web.Response(status=202)

    return {("POST", "mcp"): post}


async def _answer(message: Json, invoke: Invoke) -> Json:
    """Answer a message; None for a notification, or the client's answer to a request, which are not answered."""
    if not isinstance(message, dict) or not (isinstance(message.get("method"), str) or "result" in message):
        return _error(None, RpcError(_REQUEST, 'a message is an object with "jsonrpc" and "method"'))
    if message.get("id") is None or "method" not in message:
        return None
    given = message.get("params")
    parameters = given if isinstance(given, dict) else {}
    try:
        result = await _result(message["method"], parameters, invoke)
    except RpcError as error:
        return _error(message["id"], error)
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


async def _result(method: str, parameters: Mapping[str, Json], invoke: Invoke) -> Json:
    if method == "initialize":
        asked = parameters.get("protocolVersion")
        return {
            "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "asyncsdk-dev", "title": "asyncsdk dev server", "version": __version__},
            "instructions": INSTRUCTIONS,
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": [tool.described() for tool in TOOLS.values()]}
    if method != "tools/call":
        raise RpcError(_METHOD, f"there is no method {method[:80]!r}")
    name, arguments = parameters.get("name"), parameters.get("arguments") or {}
    if not isinstance(name, str) or name not in TOOLS or not isinstance(arguments, dict):
        raise RpcError(_PARAMETERS, f"there is no tool {str(name)[:80]!r}; tools: {', '.join(TOOLS)}")
    return await _call(name, arguments, invoke)


async def _call(name: str, arguments: Mapping[str, Json], invoke: Invoke) -> Json:
    """Call a tool. A mistake in its arguments, or a failed assertion, is a result: the agent has to see it."""
    is_error = False
    try:
        value = await call_tool(name, arguments, invoke)
    except ToolError as error:
        value, is_error = {"error": str(error)}, True
    except CallError as error:
        value, is_error = {"error": str(error), **error.more}, True
    text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    return {
        "content": [{"type": "text", "text": text}],
        "structuredContent": orjson.loads(text),
        "isError": is_error,
    }


def _error(number: Json, error: RpcError) -> Json:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": error.code, "message": str(error)}}
