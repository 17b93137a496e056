"""The tools of the Model Context Protocol, each a call or two of the control API."""

from collections.abc import Awaitable, Callable, Mapping

import attrs

from asyncsdk.dev.control.search import KEYS
from asyncsdk.dev.received_event import Json

INSTRUCTIONS = (
    "A local server that answers as Statsig, RudderStack and Amplitude do. Search the events that an app sent, read "
    "why a vendor refused one, see why a user gets the value of a gate, override it, and assert what must have "
    "arrived. Nothing here reaches a vendor. Call `docs` for the search language."
)
_MAX_EVENTS = 200
_MAX_BODIES = 5
_NAME_FIELDS = ("name", "kind", "enabled", "percentage", "groups", "count", "differs")
_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "object": (dict,), "boolean": (bool,),
}  # fmt: skip
Invoke = Callable[..., Awaitable[Json]]
Schema = Mapping[str, Json]


class ToolError(Exception):
    """A tool was called with wrong arguments."""


@attrs.frozen
class Tool:
    """One tool.

    Attributes:
        name: Its name.
        text: What it does.
        properties: JSON Schema of each argument.
        run: Calls it.
        required: Arguments that it needs.
        reads_only: Whether it changes nothing.
    """

    name: str
    text: str
    properties: Mapping[str, Schema]
    run: Callable[[Mapping[str, Json], Invoke], Awaitable[Json]]
    required: tuple[str, ...] = ()
    reads_only: bool = True

    def described(self) -> dict[str, Json]:
        """Return the tool as the protocol lists it."""
        schema = {"type": "object", "properties": dict(self.properties), "required": list(self.required)}
        return {
            "name": self.name,
            "description": self.text,
            "inputSchema": {**schema, "additionalProperties": False},
            "annotations": {"readOnlyHint": self.reads_only, "destructiveHint": False, "openWorldHint": False},
        }


async def call_tool(name: str, arguments: Mapping[str, Json], invoke: Invoke) -> Json:
    """Check the arguments of a tool and call it.

    Args:
        name: Its name.
        arguments: Its arguments.
        invoke: Makes a call of the control API.

    Raises:
        ToolError: An argument is missing, unknown or of a wrong type.
        CallError: The control API refuses the call.
    """
    tool = TOOLS[name]
    given = {key: value for key, value in arguments.items() if value is not None}
    for key in tool.required:
        if key not in given:
            msg = f"{name} needs {key!r}"
            raise ToolError(msg)
    for key, value in given.items():
        kind = tool.properties.get(key, {}).get("type", "")
        if key not in tool.properties:
            msg = f"{name} has no {key!r}; it has {', '.join(tool.properties) or 'no arguments'}"
            raise ToolError(msg)
        if kind and (not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
            msg = f"{key} has to be of type {kind}"
            raise ToolError(msg)
    return await tool.run(given, invoke)


async def _search(given: Mapping[str, Json], invoke: Invoke) -> Json:
    limit = min(max(given.get("limit", 20), 1), _MAX_EVENTS)
    return await invoke("GET", "events", {"q": given.get("query", ""), "limit": str(limit)})


async def _get_event(given: Mapping[str, Json], invoke: Invoke) -> Json:
    found = await invoke("GET", "events/{id}", {}, id=given["id"])
    events = [
        {**row, "body": await invoke("GET", "events/{seq}/body", {}, seq=str(row["seq"]))}
        if number < _MAX_BODIES
        else row
        for number, row in enumerate(found["events"])
    ]
    return {"events": events, "receipt": found["story"]}


async def _list_gates(given: Mapping[str, Json], invoke: Invoke) -> Json:
    found, kind = await invoke("GET", "names", {}), given.get("kind")
    names = [{field: one[field] for field in _NAME_FIELDS} for one in found["names"] if kind in (None, one["kind"])]
    return {"names": names, "asked_for_but_unknown": found["unknown"]}


async def _explain(given: Mapping[str, Json], invoke: Invoke) -> Json:
    user = given["user"]
    found = await invoke("POST", "evaluate", {}, {"users": [user], "names": [given["name"]]})
    return found["results"][0][given["name"]]


async def _override(given: Mapping[str, Json], invoke: Invoke) -> Json:
    name, user = given["name"], given.get("user")
    if "value" in given:
        return await invoke("PUT", "overrides/{name}", {}, {"value": given["value"], "user": user}, name=name)
    return await invoke("DELETE", "overrides/{name}", {} if user is None else {"user": user}, name=name)


async def _assert(given: Mapping[str, Json], invoke: Invoke) -> Json:
    body = {("q" if key == "query" else key): value for key, value in given.items()}
    return await invoke("POST", "assert", {}, body)


async def _docs(_: Mapping[str, Json], __: Invoke) -> Json:
    return {
        "connect": "Set ASYNCSDK_DEV_SERVER to the server's address: every asyncsdk client then sends here.",
        "search": 'Words are joined by "and", values after a comma by "or"; a leading - negates. '
        'Example: vendor:amplitude name:"Order" user:u1,u2 is:rejected -name:page attempt:>1',
        "search_keys": dict(KEYS),
        "verdicts": "accepted, duplicate, rejected, lost (a fault ate it). blamed is false for an event that was "
        "refused only because another one in its batch was at fault.",
        "assert": "Without count, at least one event has to match; with it, exactly so many. within waits. A failed "
        "assertion has the nearest misses, field by field.",
        "api": "The same calls and more over HTTP, under /__dev/.",
    }


_USER = {"description": 'Id of a named user, or fields such as {"user_id": "u1", "country": "NL"}'}
_QUERY = {"type": "string", "description": 'Search, such as: is:rejected vendor:amplitude name:"Order"'}
TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "search_events",
            "List received events, newest last, with the verdict of the vendor on each. Without a query, the newest.",
            {"query": _QUERY, "limit": {"type": "integer", "description": f"at most {_MAX_EVENTS}; default 20"}},
            _search,
        ),
        Tool(
            "get_event",
            "One event: each arrival with its payload and verdict, and the receipt of the client that sent it.",
            {"id": {"type": "string", "description": "message id, or seq for an event without one"}},
            _get_event,
            ("id",),
        ),
        Tool(
            "list_gates",
            "List the gates, configs, experiments and layers of the rules, and names that code asked for in vain.",
            {"kind": {"type": "string", "description": "gate, config, experiment or layer; all without it"}},
            _list_gates,
        ),
        Tool(
            "explain",
            "Why a user gets the value of a gate, config, experiment or layer: the rules evaluated, and the bucket.",
            {"name": {"type": "string"}, "user": _USER},
            _explain,
            ("name", "user"),
        ),
        Tool(
            "override",
            "Set the value that a name has on this server, for all users or one; without a value, remove it.",
            {
                "name": {"type": "string"},
                "value": {"description": "true or false for a gate, an object, or the group of an experiment"},
                "user": {"type": "string", "description": "user id; all users without it"},
            },
            _override,
            ("name",),
            reads_only=False,
        ),
        Tool(
            "assert",
            "Assert that events arrived. If not, the result says which came near, and in which fields they differ.",
            {
                "query": _QUERY,
                **{key: {"type": "string"} for key in ("vendor", "type", "name", "user", "id", "run", "is")},
                "properties": {"type": "object", "description": 'values by path, such as {"properties.sku": "A"}'},
                "count": {"type": "integer", "description": "exact number; without it, at least one"},
                "within": {"type": "number", "description": "seconds to wait; default 0"},
            },
            _assert,
        ),
        Tool("docs", "How to search, connect and assert.", {}, _docs),
    )
}
