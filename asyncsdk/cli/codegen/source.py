"""Where codegen reads from: files, dev servers and Statsig."""

import asyncio
import os
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from asyncsdk._client.arguments import dev_server
from asyncsdk._model.http import HttpSettings
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.language.specs import MalformedError
from asyncsdk._rules.loading import load_now
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._transport import Transport
from asyncsdk.cli.codegen.tracking_plan import PlannedEvent, UnknownPlanError, read_plan
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Limits
from asyncsdk.vendors.statsig import Rules, Statsig
from asyncsdk.vendors.statsig.ruleset import read_response

STATSIG = "statsig"
KEY = "STATSIG_SECRET_KEY"


class SourceError(Exception):
    """Raised if a source cannot be read."""

    def __init__(self, source: str, reason: str) -> None:
        """Create the error.

        Args:
            source: The file or address.
            reason: What is wrong with it.
        """
        super().__init__(f"{without_password(source)}: {reason}")


def read_rules(source: str, context: SharedContext | None = None) -> Ruleset:
    """Return the rules of a source.

    Args:
        source: A file, the URL of a dev server or of a proxy that serves rules, or `statsig`.
        context: The context in which they are evaluated; None if nothing is.

    Raises:
        SourceError: It cannot be read, or has no rules.
    """
    is_remote = source == STATSIG or is_url(source)
    body = asyncio.run(_download(source)) if is_remote else _read_file(source)
    try:
        rules = load_now(body.removeprefix(b"\xef\xbb\xbf"), context or SharedContext(clock=int, random=float))
    except MalformedError as error:
        raise SourceError(source, f"not a ruleset: {error}") from error
    if rules is None:
        raise SourceError(source, 'it has no rules: it says `"has_updates": false`')
    return rules


def read_plans(paths: list[str]) -> list[PlannedEvent]:
    """Return the events of tracking plans, sorted by name.

    Raises:
        SourceError: A file cannot be read or is not a plan, or two plans have the same event.
    """
    events: dict[str, PlannedEvent] = {}
    for path in paths:
        try:
            found = read_plan(_parse(path))
        except UnknownPlanError as error:
            raise SourceError(path, f"not a tracking plan that can be read: {error}") from error
        twice = next((event.name for event in found if event.name in events), None)
        if twice is not None:
            raise SourceError(path, f"another plan has the event {twice!r}, too")
        events |= {event.name: event for event in found}
    return [events[name] for name in sorted(events)]


def is_url(source: str) -> bool:
    """Return whether a source is an address."""
    return source.startswith(("http://", "https://"))


def without_password(source: str) -> str:
    """Return a source as it may be shown: an address without user, password and query."""
    if not is_url(source):
        return source
    parts = urlsplit(source)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _parse(path: str) -> Any:
    body = _read_file(path)
    try:
        return orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        reason = "; export it as JSON" if path.endswith((".yaml", ".yml")) else f": {error}"
        raise SourceError(path, f"not JSON{reason}") from error


def _read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SourceError(path, error.strerror or type(error).__name__) from error


async def _download(source: str) -> bytes:
    key = os.environ.get(KEY, "")
    try:
        url = dev_server() if source == STATSIG else None
        rules = Rules(specs_url=source) if is_url(source) else Rules()
        if not key and source == STATSIG and url is None:
            raise SourceError(source, f"set {KEY} to the project's server secret key")
        statsig = Statsig(key or "secret-codegen", rules=rules)
    except ConfigurationError as error:
        raise SourceError(source, str(error)) from error
    request = statsig.build_rules_request(0, "", int(time.time() * 1000))
    http = HttpSettings(trust_env=True)
    async with aclosing(Transport(Limits(), url, "codegen", http=http)) as transport:
        answer = read_response(await transport.fetch(request), request)
    if answer.body is None:
        hint = f"; check {KEY}" if answer.refused else ""
        raise SourceError(source, f"no rules: {answer.reason or 'the answer is empty'}{hint}")
    return answer.body
