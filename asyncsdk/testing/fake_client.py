"""A client for tests: real verbs, real rules, real validation; no network, no task, no delay.

What is replaced, and nothing else:

| part of a client | here                                                                              |
|------------------|-----------------------------------------------------------------------------------|
| lifecycle        | `_AlwaysRunning`: admits events until it is closed, on any loop, thread or none   |
| rules            | `FakeRules`: a ruleset built from plain dicts                                     |
| lanes            | each event is settled as delivered while its verb is called                       |
| exposures        | `RecordedExposures`: a list                                                       |
"""

import copy
import sys
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import attrs

from asyncsdk._client.client import Client
from asyncsdk._lifecycle import Lifecycle
from asyncsdk._model.events import Event, Group, IdentifyEvent, LogEvent, Page, RawEvent, Screen, Track
from asyncsdk._model.receipts import Delivery, Receipt, Record
from asyncsdk._model.reports import Report, StartReport
from asyncsdk.testing.assertions import EventAssertions
from asyncsdk.testing.exposures import RecordedExposure, RecordedExposures
from asyncsdk.testing.fake_rules import FakeRules, Values, as_ruleset, as_values
from asyncsdk.testing.rules_builder import RulesBuilder
from asyncsdk.vendors._base import Destination
from asyncsdk.vendors.rudderstack import RudderStack
from asyncsdk.vendors.statsig import Statsig


class FakeClient(EventAssertions, Client):
    """A `Client` for tests, without network and without delay.

    It needs no start: event verbs and lookups work at once, on any event loop, in any thread, and without a loop
    (`put_nowait`, `bind`). `async with`, `with`, `start` and `aclose` work as well; after a close, event verbs raise
    `ClientClosedError` as they do in production. Events are validated as in production, and are delivered at once.

    `gates`, `configs`, `experiments` and `layers` are dicts that may be changed at any time. For one user only:
    `fake.override_gate("sale", True, user_id="u1")`, and likewise for the other kinds. A name that is in none of them
    is unknown, so lookups return their fallbacks. Tasks of `add_background_task` are not run.

    Args:
        *destinations: Destinations whose checks events must pass, and whose deliveries receipts have, such as
            `Statsig("secret-any")` and `Amplitude("any")`; their rules and stores are not used. None given: a
            `RudderStack`, which accepts all events.
        gates: For each gate True, False, or the ids of the users for whom it is open.
        configs: The parameters of each dynamic config.
        experiments: The parameters of each experiment, for users in a group `Test`; or a tuple of the group's name and
            its parameters.
        layers: The parameters of each layer.
        rules: A `RulesBuilder`, or a ruleset in Statsig's format v2 as JSON or decoded, for percentages, countries and
            segments. Names in the dicts above take precedence.
        **settings: Keywords of `Client`, such as `default` and `on_delivery`; `spool`, `engine` and `enabled` are not
            used. Nor is `connection` of the event verbs: the event is delivered at once.

    Raises:
        ConfigurationError: A value is not what is documented.
    """

    def __init__(
        self,
        *destinations: Destination,
        gates: Mapping[str, Any] | None = None,
        configs: Mapping[str, Any] | None = None,
        experiments: Mapping[str, Any] | None = None,
        layers: Mapping[str, Any] | None = None,
        rules: RulesBuilder | Mapping[str, Any] | bytes | str | None = None,
        **settings: Any,
    ) -> None:
        destinations = destinations or (RudderStack("fake-key", "http://127.0.0.1"),)
        # On, even where ASYNCSDK_ENABLED=0 switches real clients off; and nothing is kept outside of this process.
        super().__init__(*destinations, **{**settings, "enabled": True, "spool": None, "engine": None})
        values = as_values({"gates": gates, "configs": configs, "experiments": experiments, "layers": layers})
        environment = next((one.environment for one in destinations if isinstance(one, Statsig)), None)
        self._unknown: list[tuple[str, str]] = []
        self._recorded: list[RecordedExposure] = []
        self._holder = self._fake_rules = FakeRules(values, as_ruleset(rules), environment, self._unknown)
        self._life = _AlwaysRunning()
        takes = self._recorded if self._settings.exposures else None
        self._exposures = RecordedExposures(self._life, takes, self._admission.pipeline.redact)
        self._refresher, self._assignments = None, None
        self._parts = attrs.evolve(
            self._parts, life=self._life, exposures=self._exposures, refresher=None, assignments=None
        )
        self._write = self._deliver_written
        self._pacer.credits = sys.maxsize  # no queue fills, so no verb has to wait for its turn
        self._receipts: list[Receipt] = []
        self._events: list[Event] = []
        self._lock = threading.RLock()  # not a plain lock: `on_delivery` may track
        self._waiters: list[Callable[[], object]] = []
        self._choose_path()

    def __repr__(self) -> str:
        return f"<FakeClient {self._life.state}: {len(self._events)} events, {len(self._recorded)} exposures>"

    # --- the values of lookups --------------------------------------------------------------------------------

    @property
    def gates(self) -> Values:
        """For each gate True, False, or the ids of the users for whom it is open; may be changed, or set to a dict."""
        return self._fake_rules.values["gates"]

    @gates.setter
    def gates(self, values: Mapping[str, Any]) -> None:
        self._fake_rules.values["gates"] = Values("gates", values)

    @property
    def configs(self) -> Values:
        """The parameters of each dynamic config; may be changed, or set to a dict."""
        return self._fake_rules.values["configs"]

    @configs.setter
    def configs(self, values: Mapping[str, Any]) -> None:
        self._fake_rules.values["configs"] = Values("configs", values)

    @property
    def experiments(self) -> Values:
        """The parameters of each experiment, or a tuple of group and parameters; may be changed, or set to a dict."""
        return self._fake_rules.values["experiments"]

    @experiments.setter
    def experiments(self, values: Mapping[str, Any]) -> None:
        self._fake_rules.values["experiments"] = Values("experiments", values)

    @property
    def layers(self) -> Values:
        """The parameters of each layer; may be changed, or set to a dict."""
        return self._fake_rules.values["layers"]

    @layers.setter
    def layers(self, values: Mapping[str, Any]) -> None:
        self._fake_rules.values["layers"] = Values("layers", values)

    # --- what happened ----------------------------------------------------------------------------------------

    @property
    def events(self) -> list[Event]:
        """The events that at least one destination took, oldest first: as sent, after middleware."""
        return list(self._events)

    @property
    def receipts(self) -> list[Receipt]:
        """The receipts of all events, oldest first, with those that were rejected, dropped or skipped."""
        return list(self._receipts)

    @property
    def exposures(self) -> list[RecordedExposure]:
        """What users were exposed to, oldest first; as in production, the same outcome counts once for each user."""
        return list(self._recorded)

    @property
    def rejected(self) -> list[tuple[Event, Delivery]]:
        """The events that a destination rejects, each with its reason."""
        found = [(one.event, delivery) for one in self._receipts for delivery in one.deliveries.values()]
        return [
            (event, delivery) for event, delivery in found if delivery is not None and delivery.status == "rejected"
        ]

    @property
    def unknown_names(self) -> list[tuple[str, str]]:
        """Kind and name of what lookups asked for and the rules do not have, each once: `("gate", "new_chekout")`."""
        return list(dict.fromkeys(self._unknown))

    def clear(self) -> None:
        """Forget all events, receipts, exposures and unknown names; values and overrides stay."""
        with self._lock:
            for found in (self._events, self._receipts, self._recorded, self._unknown):
                found.clear()
        self._exposures.window.reset()

    # --- what a client does -----------------------------------------------------------------------------------

    async def start(self, *, require_ready: bool = False) -> StartReport:  # noqa: ARG002 -- it is always ready
        """Return that the rules are there. It needs no start."""
        self._life.check_admission()
        return StartReport(ready=True, source=self._holder.rules.source, seconds=0.0)

    async def flush(self, timeout: float = 5.0) -> Report:  # noqa: ARG002 -- there is nothing to wait for
        """Return the counts: all events are delivered already."""
        return self._parts.report(0.0, complete=True)

    async def aclose(self, timeout: float | None = None) -> Report:  # noqa: ARG002 -- there is nothing to wait for
        """Close the client: event verbs raise `ClientClosedError` from now on; what happened can still be read."""
        self._life.close_intake()
        return await self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._life.close_intake()

    def _admit(self, receipt: Receipt, *, drops: bool = False) -> Receipt:  # noqa: ARG002 -- no queue is ever full
        """Deliver a prepared event at once."""
        with self._lock:
            self._receipts.append(receipt)
            if any(isinstance(outcome, Record) for outcome in receipt.outcomes):
                self._events.append(_snapshot(receipt.event))
            for lane, outcome in zip(self._parts.lanes, receipt.outcomes, strict=True):
                if isinstance(outcome, Record):
                    lane.ledger.hold(outcome)
                    lane.ledger.settle([outcome], "delivered", 200, answered=True)
                else:
                    lane.ledger.count_refused(receipt.event_id, outcome)
        for wake in list(self._waiters):
            wake()
        return receipt

    async def _deliver_written(self, _connection: object, receipt: Receipt) -> Receipt:
        """Deliver an event with `connection=` at once: no transaction of a test decides about it."""
        return self._admit(receipt)


class _AlwaysRunning(Lifecycle):
    """The lifecycle of a client that has no task, no loop and no process of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.state = "running"

    def takes_here(self) -> bool:
        """Return whether it is open: any thread, with or without a loop, may enqueue events directly."""
        return self.takes_events

    def check_caller(self) -> None:
        """Raise `ClientClosedError` if it is closed."""
        self.check_admission()

    def check_admission(self) -> None:
        """Raise `ClientClosedError` if it is closed."""
        if not self.takes_events:
            super().check_admission()

    def check_loop(self) -> None:
        """Nothing to check: it belongs to no loop."""


_FIELDS: Mapping[type, str] = {
    Track: "properties",
    Page: "properties",
    Screen: "properties",
    IdentifyEvent: "traits",
    Group: "traits",
    LogEvent: "metadata",
    RawEvent: "fields",
}


def _snapshot(event: Event) -> Event:
    """Return a copy whose properties the application cannot change any more: they have been sent."""
    field = _FIELDS.get(type(event))
    return event if field is None else attrs.evolve(event, **{field: copy.deepcopy(getattr(event, field))})
