"""Dev mode: while ASYNCSDK_DEV_SERVER is set, a client reports itself to the dev server.

It posts its health, the receipts of its events, and the names that it was asked for. Receipts have no values of an
event but its id, its name, and the user it is for, all as they are after middleware; of what middleware changed, they
have the paths only.

Nothing of this exists without a dev server: `observe` replaces one method of the client's `Admission` at the start.
A server that is gone costs a refused connection each second, and nothing else.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any
from uuid import uuid4

from asyncsdk._dev_identity import identity
from asyncsdk._events.admission import Admission
from asyncsdk._model.encoding import to_json
from asyncsdk._model.events import Event
from asyncsdk._model.receipts import Receipt, story_of
from asyncsdk._model.reports import Health
from asyncsdk._model.results import DynamicConfig, Experiment, FeatureGate, Layer, LookupResult
from asyncsdk._model.users import User
from asyncsdk.vendors._base import Limits, Request

_INTERVAL, _HEALTH_INTERVAL = 0.25, 1.0
_MAX_RECEIPTS = 2_000
"""Receipts that wait for their outcome or for the server; the oldest are given up."""
_MAX_POSTED = 200
_MAX_NAMES = 1_000
_LAST_POST = 0.3
"""Maximum time for the report of a client that closes, in seconds."""
_KINDS: Mapping[type, str] = {FeatureGate: "gate", DynamicConfig: "config", Experiment: "experiment", Layer: "layer"}


class DevReporter:
    """Reports one client.

    Args:
        url: Address of the dev server.
        health: Returns the client's health.
    """

    def __init__(self, url: str, health: Callable[[], Health]) -> None:
        self._url = url
        self._health = health
        self._id = uuid4().hex
        self._receipts: OrderedDict[int, Receipt] = OrderedDict()
        self._asked: Counter[tuple[str, str]] = Counter()
        self._health_at = 0.0

    def observe(self, admission: Admission) -> None:
        """Keep the receipt of each event from now on. Called once, at the start."""
        prepare, prepare_async = admission.prepare, admission.prepare_async

        def observed(event: Event) -> Receipt:
            return self._keep(prepare(event))

        async def observed_async(event: Event) -> Receipt:
            return self._keep(await prepare_async(event))

        # On the instance, so that a client without a dev server has no check on its way.
        vars(admission).update(prepare=observed, prepare_async=observed_async)

    def count_lookup(self, _: User, result: LookupResult) -> None:
        """Count a lookup by kind and name; from any thread."""
        key = (_KINDS.get(type(result), "gate"), result.name)
        if key in self._asked or len(self._asked) < _MAX_NAMES:
            self._asked[key] += 1

    async def run(self) -> None:
        """Report until cancelled."""
        async with aclosing(self._connect()) as transport:
            while True:
                await self._post(transport)
                await asyncio.sleep(_INTERVAL)

    async def report_end(self) -> None:
        """Report once more, when all that can be settled is settled."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_POST), aclosing(self._connect()) as transport:
                self._health_at = 0.0
                await self._post(transport)

    def _connect(self) -> Any:
        from asyncsdk._transport import Transport  # noqa: PLC0415 -- see `jobs.load`

        return Transport(Limits(timeout=2.0), self._url)

    def _keep(self, receipt: Receipt) -> Receipt:
        self._receipts[id(receipt)] = receipt
        while len(self._receipts) > _MAX_RECEIPTS:
            with suppress(KeyError):  # another thread was faster
                self._receipts.popitem(last=False)
        return receipt

    async def _post(self, transport: Any) -> None:
        """Post what is new; it is kept for the next time if the server cannot be reached."""
        final = [(key, one) for key, one in list(self._receipts.items()) if _is_final(one)][:_MAX_POSTED]
        asked, now = dict(self._asked), time.monotonic()
        if not final and not asked and now < self._health_at:
            return
        self._health_at = now + _HEALTH_INTERVAL
        body = {
            **identity(),
            "health": self._health().to_dict(),
            "receipts": [story_of(receipt) for _, receipt in final],
            "asked": [{"kind": kind, "name": name, "count": count} for (kind, name), count in asked.items()],
        }
        path = f"/__dev/clients/{self._id}"
        headers = {"Content-Type": "application/json"}
        # Ids and names may be any Python text, half of a surrogate pair too.
        response = await transport.send(Request(self._url + path, path, headers, to_json(body, "report")))
        if response.status == 200:
            for key, _ in final:
                self._receipts.pop(key, None)
            self._asked.subtract(asked)
            self._asked = +self._asked


def _is_final(receipt: Receipt) -> bool:
    return None not in receipt.deliveries.values()
