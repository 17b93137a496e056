"""Statsig's downloads: the ruleset, ID lists, and client-initialize responses.

They form a vendor of their own, `statsig-rules`, so that faults can apply to rules and to events separately.

Source: statsig-python-core 0.24.0, statsig 0.72.1 (Python) and statsig-node 6.5.1, which request them; read 2026-11-21.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import attrs
import orjson

from asyncsdk.dev.id_lists import ServedIdList, manifest, serve
from asyncsdk.dev.initialize import Evaluator
from asyncsdk.dev.messages import IncomingRequest, RejectedRequestError, Reply, Route, json_reply
from asyncsdk.dev.rate_limits import Window
from asyncsdk.dev.received_event import Json
from asyncsdk.dev.ruleset_formats import Format
from asyncsdk.dev.ruleset_versions import Version, next_version
from asyncsdk.dev.statsig import statsig_error

_NEW_PROJECT = b'{"feature_gates":{},"dynamic_configs":{},"layer_configs":{}}'
POLL_HEADER, POLL_INTERVAL = "Asyncsdk-Poll-Interval", "0.25"
"""Tells an asyncsdk client in dev mode how often to poll, in seconds: changes made in the page reach it at once."""
_NO_UPDATES = {"has_updates": False}
_MAX_DIGITS = 20  # longer numbers are not times, and `int` raises for more than 4,300 digits


@attrs.define(eq=False)
class ServedRules:
    """The ruleset and the ID lists that are served. The dev server changes them; `StatsigRulesServer` only reads.

    Attributes:
        version: The ruleset; initially that of a new project, which has no names.
        id_lists: The ID lists by name.
        entries: The hashed units of each list.
    """

    version: Version = attrs.field(factory=partial(next_version, _NEW_PROJECT, None))
    id_lists: dict[str, ServedIdList] = attrs.field(factory=dict, init=False)
    entries: dict[str, frozenset[bytes]] = attrs.field(factory=dict, init=False)
    _evaluator: tuple[Version, Evaluator] | None = attrs.field(default=None, init=False, repr=False)

    def set_id_list(self, name: str, units: Iterable[str] | None, now_ms: int) -> None:
        """Start a new file for an ID list; units of None withdraw the list."""
        previous = self.id_lists.pop(name, None)
        self.entries.pop(name, None)
        if units is not None:
            # Later than the previous file's even within one millisecond: clients compare creation times.
            created = max(now_ms, previous.created + 1 if previous else 0)
            self._put(ServedIdList(name, created).with_lines(units, ()))

    def append_id_list(self, name: str, add: Iterable[str], remove: Iterable[str]) -> None:
        """Append lines to an ID list's file.

        Raises:
            KeyError: There is no such list.
        """
        self._put(self.id_lists[name].with_lines(add, remove))

    def _put(self, id_list: ServedIdList) -> None:
        self.id_lists[id_list.name] = id_list
        self.entries[id_list.name] = frozenset(map(b64decode, id_list.entries))

    def evaluator(self) -> Evaluator:
        """Return the evaluator of the current version, which is compiled on first use."""
        # Compiling is expensive, so it is done once per version.
        if self._evaluator is None or self._evaluator[0] is not self.version:
            self._evaluator = self.version, Evaluator.of(self.version, self.entries)
        return self._evaluator[1]


@attrs.frozen
class StatsigRulesServer:
    """An imitated Statsig that serves rules.

    Attributes:
        keys: The SDK keys that it accepts; None accepts any.
        served: The ruleset and ID lists to serve.
    """

    keys: Collection[str] | None = attrs.field(default=None, repr=False)
    served: ServedRules = attrs.field(factory=ServedRules, init=False)
    windows: Sequence[Window] = attrs.field(default=(), init=False, repr=False)
    name: str = attrs.field(default="statsig-rules", init=False)

    def route(self, method: str, path: str) -> Route | None:
        """Return the endpoint of a path; None if it serves nothing there."""
        for pattern, methods, handle in _ENDPOINTS:
            match = pattern.fullmatch(path)
            if match is not None and method in methods:
                return Route(partial(_reply, self, handle, match))
            if match is not None:
                return Route(lambda _: self.error_reply(405), may_fail=False)
        return None

    def error_reply(self, status: int) -> Reply:
        """Build Statsig's error reply of a status."""
        return statsig_error(status, f"status {status}")


def _reply(server: StatsigRulesServer, handle: "_Handle", match: re.Match[str], request: IncomingRequest) -> Reply:
    body = _body(request)
    try:
        reply = handle(server, match, request, body)
    except RejectedRequestError as error:
        reply = statsig_error(error.status, str(error))
    return attrs.evolve(reply, json=body or None, plain_size=len(request.body))


def _specs(
    server: StatsigRulesServer, match: re.Match[str], request: IncomingRequest, body: Mapping[str, Json]
) -> Reply:
    _check_key(server, match["key"], request)
    version = server.served.version
    since, checksum = (request.query.get(name) or body.get(name) for name in ("sinceTime", "checksum"))
    if version.is_known(_integer_or_0(since), str(checksum or "")):
        reply = json_reply(200, _NO_UPDATES)
    else:
        target: Format = "v1" if match["format"] == "v1" else "v2"
        reply = Reply(200, version.body(target), {"Content-Type": "application/json"})
    return attrs.evolve(reply, headers={**reply.headers, POLL_HEADER: POLL_INTERVAL})


def _lists(server: StatsigRulesServer, match: re.Match[str], request: IncomingRequest, _: Mapping[str, Json]) -> Reply:
    _check_key(server, match["key"], request)
    return json_reply(200, manifest(server.served.id_lists, f"http://{request.headers.get('host', '')}"))


def _list_file(
    server: StatsigRulesServer, match: re.Match[str], request: IncomingRequest, _: Mapping[str, Json]
) -> Reply:
    id_list = next((found for found in server.served.id_lists.values() if found.file_id == match["id"]), None)
    if id_list is None:
        return server.error_reply(404)
    return serve(id_list.text, request.headers.get("range") or request.query.get("range", ""))


def _initialize(
    server: StatsigRulesServer, _: re.Match[str], request: IncomingRequest, body: Mapping[str, Json]
) -> Reply:
    key = _check_key(server, None, request)
    if server.served.version.is_known(_integer_or_0(body.get("sinceTime")), ""):
        return json_reply(200, _NO_UPDATES)
    return server.served.evaluator().initialize(body, key, request.now)


_Handle: TypeAlias = Callable[[StatsigRulesServer, re.Match[str], IncomingRequest, Mapping[str, Json]], Reply]

_ENDPOINTS: Sequence[tuple[re.Pattern[str], Collection[str], _Handle]] = (
    (re.compile(r"/(?P<format>v[12])/download_config_specs(?:/(?P<key>.+?)(?:\.json)?)?"), ("GET", "POST"), _specs),
    (re.compile(r"/v1/get_id_lists(?:/(?P<key>.+?)(?:\.json)?)?"), ("GET", "POST"), _lists),
    (re.compile(r"/v1/download_id_list_file/(?P<id>.+)"), ("GET",), _list_file),
    (re.compile(r"/v1/initialize"), ("POST",), _initialize),
)


def _check_key(server: StatsigRulesServer, in_path: str | None, request: IncomingRequest) -> str:
    """Return the key of a request.

    Raises:
        RejectedRequestError: The request has no key, or one that is not accepted.
    """
    # SDKs send the key in the path, in a header, or as the query parameter `k`.
    key = in_path or request.headers.get("statsig-api-key") or request.query.get("k", "")
    if not key or (server.keys is not None and key not in server.keys):
        raise RejectedRequestError(401, "Invalid SDK Key")
    return key


def _body(request: IncomingRequest) -> dict[str, Json]:
    """Return the JSON object in a request's body; `{}` if it is something else. SDKs may send no body at all."""
    try:
        body = orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _integer_or_0(value: Json) -> int:
    digits = str(value)
    return int(digits) if digits.isdecimal() and len(digits) < _MAX_DIGITS else 0
