"""The calls by which clients report themselves, and the one that lists them.

An asyncsdk client in dev mode posts its health, the receipts of its events, and the names that it was asked for. Other
SDKs are known from the headers of their requests.
"""

import time
from collections.abc import Mapping
from urllib.parse import parse_qsl

import attrs
import orjson

from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.calls import Call, CallError, Routes, take
from asyncsdk.dev.control.rows import failures
from asyncsdk.dev.history import ReceivedRequest
from asyncsdk.dev.received_event import Json, ReceivedEvent

CLIENT_HEADER, RUN_HEADER = "asyncsdk-client", "asyncsdk-run"
REPORT_INTERVAL = 0.25
"""Seconds between two reports of a client, and between two of its polls for rules."""
_MAX_CLIENTS = 200
_MAX_NAME = 120


@attrs.define(eq=False)
class KnownClient:
    """A client that was heard of.

    Attributes:
        id: Tells it apart from all others.
        name: What to call it; `""` if only its SDK is known.
        sdk: Name and version of the SDK.
        python: Version of Python; `""` if unknown.
        pid: Number of the process; None if unknown.
        run: Its run id; `""` without one.
        since: When it was first heard of, in milliseconds since 1970; `last` likewise.
        health: Its own health; None if it does not report it.
    """

    id: str
    name: str = ""
    sdk: str = ""
    python: str = ""
    pid: int | None = None
    run: str = ""
    since: int = attrs.field(factory=lambda: int(time.time() * 1000))
    last: int = 0
    health: Json = None


@attrs.define(eq=False)
class Clients:
    """The clients, by id; the ones that have been silent for longest are forgotten first."""

    _by_id: dict[str, KnownClient] = attrs.field(factory=dict)

    def heard(self, client_id: str) -> KnownClient:
        """Return a client that has just been heard of."""
        client = self._by_id.pop(client_id, None) or KnownClient(client_id)
        client.last = _now()
        self._by_id[client_id] = client
        if len(self._by_id) > _MAX_CLIENTS:
            del self._by_id[next(iter(self._by_id))]
        return client

    def sender_of(self, request: ReceivedRequest) -> tuple[str, str]:
        """Record the sender of a request, and return its name and its run id."""
        name, run = (request.header(header) or "" for header in (CLIENT_HEADER, RUN_HEADER))
        name, run = name[:_MAX_NAME], run[:_MAX_NAME]
        if not name:
            sdk = _sdk_of(request)
            name = sdk
            if sdk and "asyncsdk" not in sdk:
                self.heard(f"sdk {sdk}").sdk = sdk
        return name, run

    def all(self) -> list[KnownClient]:
        """Return all clients, in the order in which they were first heard of."""
        return sorted(self._by_id.values(), key=lambda client: client.since)

    def __contains__(self, client_id: str) -> bool:
        return client_id in self._by_id


@attrs.frozen(eq=False)
class ClientCalls:
    """The calls.

    Attributes:
        bench: The state.
        clients: The clients.
    """

    bench: Bench
    clients: Clients

    def routes(self) -> Routes:
        """Return the handlers of the calls."""
        return {("GET", "clients"): self._clients, ("POST", "clients/{id}"): self._report}

    async def _clients(self, _: Call) -> Json:
        return {"clients": [attrs.asdict(client) for client in self.clients.all()]}

    async def _report(self, call: Call) -> Json:
        body = await call.object()
        receipts, asked = take(body, "receipts", list, []), take(body, "asked", list, [])
        texts = {name: take(body, name, str, "")[:_MAX_NAME] for name in ("name", "sdk", "python", "run")}
        is_new = call.match["id"] not in self.clients
        client = self.clients.heard(call.match["id"][:_MAX_NAME])
        client.name, client.sdk, client.python, client.run = texts.values()
        client.pid, client.health = take(body, "pid", int), take(body, "health", dict, client.health)
        for one in asked:
            self._count(one, client.name)
        for receipt in receipts:
            self._store(receipt, client)
        if is_new:
            self.bench.changed("clients")
        if asked:
            self.bench.changed("names")
        if receipts:
            self.bench.wake()
        return {"interval": REPORT_INTERVAL}

    def _count(self, one: Json, by: str) -> None:
        if not isinstance(one, dict):
            raise CallError(400, "asked is a list of objects with name, kind and count")
        name, count = take(one, "name", str, ""), take(one, "count", int, 1)
        if name:
            self.bench.asked.record(name[:200], take(one, "kind", str, "gate"), count, by)

    def _store(self, receipt: Json, client: KnownClient) -> None:
        event_id, vendors = _checked(receipt)
        known = self.bench.receipts.get(event_id)
        self.bench.receipts.put(event_id, {**receipt, "client": client.name})
        missed = failures(receipt)
        self.bench.tell(
            {"id": event_id, "type": receipt.get("verb", ""), "name": receipt.get("name", ""), "failures": missed}
        )
        # An event that no vendor gets would leave no trace: its client's refusal is recorded in place of an arrival.
        is_final = all(outcome.get("status") != "pending" for outcome in vendors.values())
        never_sent = missed and is_final and not any(outcome.get("attempts") for outcome in vendors.values())
        if never_sent and failures(known) != missed:
            for vendor, status, reason in missed:
                if status == "rejected":  # what middleware drops is dropped on purpose
                    self._record_refusal(receipt, vendor, f"{status}: {reason}", client)

    def _record_refusal(self, receipt: Mapping[str, Json], vendor: str, verdict: str, client: KnownClient) -> None:
        verb = str(receipt.get("verb", ""))
        user, name = str(receipt.get("user", "")), str(receipt.get("name", "")) or verb
        event = ReceivedEvent(vendor, str(receipt["id"]), user, verb, name, {}, None)
        event.verdict = f"rejected: by the client, {verdict}"
        event.at, event.client, event.run = time.time(), client.name, client.run
        self.bench.history.record_local(event)
        self.bench.record([event])


def _checked(receipt: Json) -> tuple[str, Mapping[str, Json]]:
    """Return the id and the outcomes of a receipt.

    Raises:
        CallError: It is not a receipt.
    """
    if not isinstance(receipt, dict) or not take(receipt, "id", str):
        raise CallError(400, "a receipt is an object with the id of an event")
    vendors = take(receipt, "vendors", dict, {})
    for outcome in vendors.values():
        if not isinstance(outcome, dict) or not {"status", "reason", "attempts"} <= outcome.keys():
            raise CallError(400, "vendors has status, reason and attempts by destination")
    orjson.dumps(receipt)
    return receipt["id"], vendors


def _sdk_of(request: ReceivedRequest) -> str:
    """Return name and version of the SDK that sent a request; `""` if it does not say."""
    query = dict(parse_qsl(request.path.partition("?")[2]))
    kind = request.header("statsig-sdk-type") or query.get("st", "")
    version = request.header("statsig-sdk-version") or query.get("sv", "")
    if kind:
        return f"statsig {kind} {version}".strip()[:_MAX_NAME]
    return (request.header("user-agent") or "").partition(" ")[0].replace("/", " ")[:_MAX_NAME]


def _now() -> int:
    return int(time.time() * 1000)
