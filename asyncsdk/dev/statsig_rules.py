"""Statsig's other half: what it hands out, rules and ID lists.

Source: statsig-python-core 0.24.0, statsig 0.72.1 (Python) and statsig-node 6.5.1, which ask for it; read 2026-11-21.
Faults tell it from Statsig's event log by its name, `statsig-rules`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import attrs
import orjson

from asyncsdk.dev.id_lists import ServedIdList, manifest, serve
from asyncsdk.dev.initialize import Evaluator
from asyncsdk.dev.messages import IncomingRequest, Json, RefusedError, Reply, Route, json_answer
from asyncsdk.dev.rate_limits import Window
from asyncsdk.dev.ruleset_formats import Form
from asyncsdk.dev.ruleset_versions import Version, next_version
from asyncsdk.dev.statsig import error_answer

_NEW_PROJECT = b'{"feature_gates":{},"dynamic_configs":{},"layer_configs":{}}'
_NOTHING_NEW = {"has_updates": False}
_MAX_DIGITS = 20


@attrs.define(eq=False)
class ServedRulesets:
    """What there is to hand out.

    Attributes:
        version: The ruleset; at first that of a new project, which has no names.
        lists: The ID lists by name.
    """

    version: Version = attrs.field(factory=partial(next_version, _NEW_PROJECT, None))
    lists: dict[str, ServedIdList] = attrs.field(factory=dict, init=False)
    _entries: dict[str, frozenset[str]] = attrs.field(factory=dict, init=False)
    _evaluator: tuple[Version, Evaluator] | None = attrs.field(default=None, init=False, repr=False)

    def begin(self, name: str, units: Iterable[str] | None, now_ms: int) -> None:
        """Begin a new generation of an ID list; None: hand it out no longer."""
        before = self.lists.pop(name, None)
        self._entries.pop(name, None)
        if units is not None:
            created = max(now_ms, before.created + 1 if before else 0)
            self._put(ServedIdList(name, created).grown(units, ()))

    def append(self, name: str, add: Iterable[str], remove: Iterable[str]) -> None:
        """Let an ID list grow by further lines."""
        self._put(self.lists[name].grown(add, remove))

    def _put(self, id_list: ServedIdList) -> None:
        self.lists[id_list.name] = id_list
        self._entries[id_list.name] = id_list.entries

    def evaluator(self) -> Evaluator:
        """Give the evaluator of the version, compiled at the first use."""
        if self._evaluator is None or self._evaluator[0] is not self.version:
            self._evaluator = self.version, Evaluator.of(self.version, self._entries)
        return self._evaluator[1]


@attrs.frozen
class StatsigRulesServer:
    """An imitated Statsig, as far as it hands out rules.

    Attributes:
        keys: The SDK keys it knows; None: any.
        shelf: What it hands out; the dev server puts things there.
    """

    keys: Collection[str] | None = attrs.field(default=None, repr=False)
    shelf: ServedRulesets = attrs.field(factory=ServedRulesets, init=False)
    windows: Sequence[Window] = attrs.field(default=(), init=False, repr=False)
    name: str = attrs.field(default="statsig-rules", init=False)

    def route(self, method: str, path: str) -> Route | None:
        """Find the endpoint; None if the path is another vendor's."""
        for pattern, methods, handle in _ENDPOINTS:
            words = pattern.fullmatch(path)
            if words is not None and method in methods:
                return Route(partial(_answer, self, handle, words))
            if words is not None:
                return Route(lambda _: self.refusal(405), may_fail=False)
        return None

    def refusal(self, status: int) -> Reply:
        """Word an answer of `status` as Statsig would."""
        return error_answer(status, f"status {status}")


def _answer(server: StatsigRulesServer, handle: "_Handle", words: re.Match[str], request: IncomingRequest) -> Reply:
    asked = _body(request)
    try:
        answer = handle(server, words, request, asked)
    except RefusedError as error:
        answer = error_answer(error.status, str(error))
    return attrs.evolve(answer, json=asked or None, plain_size=len(request.body))


def _specs(
    server: StatsigRulesServer, words: re.Match[str], request: IncomingRequest, asked: Mapping[str, Json]
) -> Reply:
    _check_key(server, words["key"], request)
    version = server.shelf.version
    since, checksum = (request.query.get(name) or asked.get(name) for name in ("sinceTime", "checksum"))
    if version.is_known(_whole(since), str(checksum or "")):
        return json_answer(200, _NOTHING_NEW)
    form: Form = "v1" if words["form"] == "v1" else "v2"
    return Reply(200, version.body(form), {"Content-Type": "application/json"})


def _lists(server: StatsigRulesServer, words: re.Match[str], request: IncomingRequest, _: Mapping[str, Json]) -> Reply:
    _check_key(server, words["key"], request)
    return json_answer(200, manifest(server.shelf.lists, f"http://{request.headers.get('host', '')}"))


def _list_file(
    server: StatsigRulesServer, words: re.Match[str], request: IncomingRequest, _: Mapping[str, Json]
) -> Reply:
    found = next((one for one in server.shelf.lists.values() if one.file_id == words["id"]), None)
    if found is None:
        return server.refusal(404)
    return serve(found.text, request.headers.get("range") or request.query.get("range", ""))


def _initialize(
    server: StatsigRulesServer, _: re.Match[str], request: IncomingRequest, asked: Mapping[str, Json]
) -> Reply:
    key = _check_key(server, None, request)
    if server.shelf.version.is_known(_whole(asked.get("sinceTime")), ""):
        return json_answer(200, _NOTHING_NEW)
    return server.shelf.evaluator().initialize(asked, key, request.now)


_Handle: TypeAlias = Callable[[StatsigRulesServer, re.Match[str], IncomingRequest, Mapping[str, Json]], Reply]

_ENDPOINTS: Sequence[tuple[re.Pattern[str], Collection[str], _Handle]] = (
    (re.compile(r"/(?P<form>v[12])/download_config_specs(?:/(?P<key>.+?)(?:\.json)?)?"), ("GET", "POST"), _specs),
    (re.compile(r"/v1/get_id_lists(?:/(?P<key>.+?)(?:\.json)?)?"), ("GET", "POST"), _lists),
    (re.compile(r"/v1/download_id_list_file/(?P<id>.+)"), ("GET",), _list_file),
    (re.compile(r"/v1/initialize"), ("POST",), _initialize),
)


def _check_key(server: StatsigRulesServer, in_path: str | None, request: IncomingRequest) -> str:
    """Give the key of a request.

    Raises:
        RefusedError: It has none, or not a known one.
    """
    key = in_path or request.headers.get("statsig-api-key") or request.query.get("k", "")
    if not key or (server.keys is not None and key not in server.keys):
        raise RefusedError(401, "Invalid SDK Key")
    return key


def _body(request: IncomingRequest) -> dict[str, Json]:
    """Read what a request asks for in its body; SDKs send none, an empty one, or an object."""
    try:
        asked = orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _whole(value: Json) -> int:
    digits = str(value)
    return int(digits) if digits.isdecimal() and len(digits) < _MAX_DIGITS else 0
