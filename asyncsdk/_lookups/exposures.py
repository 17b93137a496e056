"""Exposures: events that say which user saw which gate, config, experiment or layer parameter.

The life of an exposure, from lookup to record:

1. **Due?** A lookup asks `is_due(user, evaluation)`, a set lookup that also records the user. It is True for the first
   time that this user gets this outcome in the current window, and that is all that most lookups pay. Parameters of
   layers and manual exposures are kinds of their own: `report_parameter` and `report_manual` ask the window themselves.
2. **Pending.** `report` appends a due exposure to `_pending`. Nothing is encoded yet: cold code runs about three times
   slower, so requests only append here, and one callback encodes for many of them.
   With `shared_exposures`, they then wait for the engine (`shared_exposures.py`), which says what other processes have
   reported.
3. **Encoded.** `enqueue_pending` runs 5 ms after the first append, at 500 pending exposures, or when the client catches
   up (`flush`, `health`). It redacts the users, applies the ruleset's sampling, and encodes. One exposure may cause
   others here: those of experiments whose groups its conditions looked at (`consulted`), and the events of other
   vendors that take exposures (`ExposureForwarder`).
4. **Record.** The encoded exposures are bundled into few records and enqueued on Statsig's lane, all or none. If there
   is no room for all, they are offered one by one.

How an exposure ends if it does not become a record:

| case                                                     | counted as                  | due again in this window |
|----------------------------------------------------------|-----------------------------|--------------------------|
| client not started or closed, or a forked child          | no                          | yes                      |
| loop is blocked, and 10,000 calls of threads wait for it | no                          | yes                      |
| reaches the loop from a thread after the client closed   | no                          | no                       |
| the queue is full                                        | dropped, "queue full"       | yes                      |
| larger than the whole queue                              | rejected, "too large"       | no                       |
| the user cannot be redacted or encoded                   | dropped, "not serializable" | no                       |
| left out by the ruleset's sampling                       | no                          | no                       |

A window (`ExposureWindow`) ends every minute, and after 100,000 exposures; then everything is due again.

Threads: `is_due`, `report`, `report_parameter` and `report_manual` may be called from any thread; they neither raise
nor wait. Everything else runs on the client's loop, which `report` reaches from other threads by `Lifecycle.call_soon`.

Example: 1,000 requests check a gate for "ada" within a minute. The first one appends one tuple, 5 ms later it is one
record in Statsig's lane, and the other 999 cost a set lookup each.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from asyncsdk._delivery.lane import Lane
from asyncsdk._lifecycle import Lifecycle
from asyncsdk._lookups.exposure_sinks import Enqueue, ExposureForwarder, ExposureSink, forwarding_rules
from asyncsdk._lookups.shared_exposures import ExposureFilter, PendingExposure, Prebuilt
from asyncsdk._model import fragments
from asyncsdk._model.event_faults import check_user_fragments
from asyncsdk._model.fleet import SharedExposures
from asyncsdk._model.ids import Ids
from asyncsdk._model.user_view import fault_of
from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import INVALID_USER, Evaluation
from asyncsdk._rules.exposure_window import AUTOMATIC, UNSAMPLED, ExposureWindow
from asyncsdk._rules.exposures import build_exposure, build_layer_exposure
from asyncsdk._rules.ruleset import Kind, Ruleset
from asyncsdk.errors import ClientClosedError, QueueFullError
from asyncsdk.vendors.statsig.events import encode_exposure, encode_exposure_end

logger = logging.getLogger("asyncsdk")

# Pending exposures are encoded after this many seconds, or when there are this many.
_MAX_DELAY, _MAX_PENDING = 0.005, 500

_MAX_WARNED = 100

# A user that JSON cannot represent costs only its own exposure.
_NOT_SERIALIZABLE = "not serializable"


class Exposures:
    """Reports each exposure once per window, from any thread.

    Attributes:
        window: The exposures of the current window.
        filter: The exposures that wait for the engine of a fleet; None without one.
        is_due: Returns whether an exposure is to be reported, and records it: `ExposureWindow.is_new`. Always False if
            no destination takes exposures.
    """

    def __init__(
        self,
        life: Lifecycle,
        lanes: Sequence[Lane],
        ids: Ids,
        *,
        redact: Callable[[User], User],
        enqueue_for: Callable[[Lane], Enqueue],
        statsig_lane: Lane | None,
        shared: SharedExposures | None = None,
        project: str = "",
    ) -> None:
        """Create the writer of a client's exposures.

        Args:
            life: The client's lifecycle.
            lanes: All of the client's lanes: those whose destinations want exposures get them as events.
            ids: The source of ids for those events.
            redact: Returns a copy of a user without what the client's `redact` middleware removes.
            enqueue_for: Returns the function that enqueues exposures for a lane.
            statsig_lane: The lane that Statsig's exposure events go to; None sends none.
            shared: Where a fleet records what it has reported; None reports whatever this process is first to see.
            project: Separates the exposures of one project from those of others there.
        """
        self._life = life
        self._redact = redact
        self._sink = None if statsig_lane is None else ExposureSink(statsig_lane, enqueue_for(statsig_lane))
        targets = tuple(forwarding_rules(lanes, enqueue_for))
        self._forwarder = ExposureForwarder(ids, targets) if targets else None
        self._pending: list[PendingExposure] = []
        life.on_catch_up = self.enqueue_pending
        self.window = ExposureWindow()
        self.filter = None if shared is None else ExposureFilter(shared, project, self._enqueue_new)
        self._take = self._enqueue if self.filter is None else self.filter.put
        self._warned: set[str] = set()
        self._has_takers = statsig_lane is not None or bool(targets)
        self.is_due: Callable[[User, Evaluation], bool] = self.window.is_new if self._has_takers else _never_due

    def __repr__(self) -> str:
        """Name the destinations, and count what is pending."""
        names = [] if self._sink is None else [self._sink.lane.destination.name]
        names += [] if self._forwarder is None else self._forwarder.names
        return f"<Exposures to [{', '.join(names)}]: {len(self._pending)} pending>"

    def report(self, rules: Ruleset, user: User, evaluation: Evaluation, prebuilt: Prebuilt | None) -> None:
        """Report an exposure that is due: on the loop it becomes pending, from another thread it is sent to the loop.

        If it cannot be reported (the client is not started, or closed, or this is a forked child), it is due again.

        Args:
            rules: The ruleset that was evaluated.
            user: The user.
            evaluation: What the user saw.
            prebuilt: None for an automatic exposure of a gate, config or experiment.
        """
        if evaluation.outcome == INVALID_USER:
            self.warn_of_user(user)
        exposure = (rules, user, evaluation, time.time(), prebuilt)
        # 1. On the client's loop.
        if self._life.takes_here():
            pending = self._pending
            if not pending:
                asyncio.get_running_loop().call_later(_MAX_DELAY, self.enqueue_pending)
            pending.append(exposure)
            if len(pending) >= _MAX_PENDING:
                self.enqueue_pending()
        # 2. In another thread.
        elif self._life.takes_events and self._life.is_in_its_process:
            try:
                self._life.call_soon(partial(self._enqueue_from_thread, exposure))
            except (ClientClosedError, QueueFullError):  # a lookup never raises
                self._forget(exposure)
        # 3. The client is not running, or was started before this process was forked.
        else:
            self._forget(exposure)

    def report_parameter(self, rules: Ruleset, user: User, evaluation: Evaluation, parameter: str) -> None:
        """Report that a user saw a parameter of a layer, if that is due."""
        kind = parameter, False
        if self._has_takers and self.window.is_new_kind(user, evaluation, kind):
            self.report(rules, user, evaluation, (build_layer_exposure(rules, evaluation, parameter), kind))

    def report_manual(
        self, rules: Ruleset, user: User, spec_kind: Kind, evaluation: Evaluation, parameter: str
    ) -> None:
        """Report an exposure that the caller asked for (`log_exposure`), if that is due.

        Args:
            rules: The ruleset that was evaluated.
            user: The user.
            spec_kind: Whether it is a gate, config, experiment or layer.
            evaluation: What the user saw.
            parameter: The layer's parameter; ignored for other kinds.
        """
        kind = parameter if spec_kind == "layer" else "", True
        if not self._has_takers or not self.window.is_new_kind(user, evaluation, kind):
            return
        if spec_kind == "layer":
            exposure = build_layer_exposure(rules, evaluation, parameter, manual=True)
        else:
            exposure = build_exposure(rules, evaluation, manual=True)
        self.report(rules, user, evaluation, (exposure, kind))

    def warn_of_user(self, user: User) -> None:
        """Say in the log that a lookup could not use its user: once for each field and type."""
        fault = fault_of(user)
        if fault:
            self.warn_once(f"a user that rules cannot use, reason InvalidUser: {fault}")

    def warn_once(self, fault: str) -> None:
        """Say once that a lookup returned the fallback because of what it was given."""
        if fault not in self._warned and len(self._warned) < _MAX_WARNED:
            self._warned.add(fault)
            logger.warning("a lookup returned the fallback (said once): %s", fault)

    @property
    def pending_count(self) -> int:
        """How many exposures are reported, and not encoded yet."""
        return len(self._pending) + (0 if self.filter is None else self.filter.waiting)

    def enqueue_pending(self) -> None:
        """Encode and enqueue all pending exposures."""
        exposures, self._pending = self._pending, []
        self._take(exposures)

    def _enqueue_from_thread(self, exposure: PendingExposure) -> None:
        # After the close, the final report is built: nothing may be counted any more.
        if self._life.state != "closed":
            self._take([exposure])

    def _enqueue_new(self, exposures: Sequence[PendingExposure], known: int) -> None:
        """Enqueue the exposures that are new to the fleet, and count those that are not."""
        self.window.count(known)
        self._enqueue(exposures)

    def _enqueue(self, exposures: Sequence[PendingExposure]) -> None:
        sink = self._sink
        self.window.count(len(exposures))
        # Exposures of one request follow each other, so the last user and the last millisecond are mostly the next
        # ones too: both are worked out once per run of equal ones.
        last_user, redacted = None, User()
        last_ms, end = -1, b""
        encoded: list[PendingExposure] = []
        chunks: list[bytes] = []
        for exposure in exposures:
            rules, user, evaluation, seen_at, prebuilt = exposure
            try:
                if user is not last_user:
                    last_user, redacted = user, self._prepare_user(user)
                if evaluation.consulted or self._forwarder is not None:
                    self._report_related(exposure, redacted)
                now_ms = int(seen_at * 1000)
                if rules.samples_exposures:  # each exposure has its own sampling fields, so no end is used twice
                    last_ms, end = -1, self._encode_sampled_end(exposure)
                elif now_ms != last_ms:
                    last_ms, end = now_ms, encode_exposure_end(now_ms, UNSAMPLED)
                if end and sink is not None:
                    parts = build_exposure(rules, evaluation) if prebuilt is None else prebuilt[0]
                    chunks.append(encode_exposure(parts, redacted, end))
                    encoded.append(exposure)
            except Exception:  # noqa: BLE001 -- the fields of a user may hold anything
                self.warn_of_user(user)
                if sink is not None:
                    sink.count_refused(_NOT_SERIALIZABLE)
        if sink is not None and chunks and not sink.enqueue(sink.build_records(chunks)):
            self._offer_one_by_one(sink, encoded, chunks)

    def _prepare_user(self, user: User) -> User:
        redacted = self._redact(user)
        if fragments.may_exist():
            check_user_fragments(redacted)
        return redacted

    def _report_related(self, exposure: PendingExposure, redacted: User) -> None:
        """Report the experiments that decided a condition, and forward the exposure to other vendors."""
        rules, user, evaluation, seen_at, prebuilt = exposure
        if evaluation.consulted:
            self._take([(rules, user, one, seen_at, None) for one in evaluation.consulted if self.is_due(user, one)])
        if self._forwarder is not None:
            kind = AUTOMATIC if prebuilt is None else prebuilt[1]
            self._forwarder.forward(self.window, redacted, int(seen_at * 1000), evaluation, kind)

    def _encode_sampled_end(self, exposure: PendingExposure) -> bytes:
        """Return the end of an exposure's event; empty if the ruleset's sampling leaves the exposure out."""
        rules, user, evaluation, seen_at, _ = exposure
        sampling = self.window.sampling(rules, user, evaluation)
        return b"" if sampling is None else encode_exposure_end(int(seen_at * 1000), sampling)

    def _offer_one_by_one(
        self, sink: ExposureSink, exposures: Iterable[PendingExposure], chunks: Iterable[bytes]
    ) -> None:
        """Enqueue as many exposures as there is room for; the others are due again."""
        for exposure, chunk in zip(exposures, chunks, strict=True):
            if len(chunk) > sink.lane.ledger.max_bytes:
                sink.count_refused("too large", "rejected")
            elif not sink.offer(*sink.build_records([chunk])):
                self._forget(exposure)

    def _forget(self, exposure: PendingExposure) -> None:
        """Remove an exposure from the window: the next lookup finds it due."""
        _, user, evaluation, _, prebuilt = exposure
        if self.filter is not None:
            self.filter.release(exposure)
        self.window.forget_one(user, evaluation, AUTOMATIC if prebuilt is None else prebuilt[1])


def _never_due(_: User, __: Evaluation) -> bool:
    """Return False: no destination takes exposures."""
    return False
