"""`Client(on_invalid="report")`: an invalid event is counted and logged, not raised, so that it breaks no request.

The event gets a receipt like any other, with the outcome `rejected: invalid` at each destination. The log has one ERROR
for each kind of mistake, with the place that made the call; `health()` has the number of such events and the latest.
"""

import logging
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

from asyncsdk._delivery.lane import Lane
from asyncsdk._events.admission import Admission
from asyncsdk._model.events import Event
from asyncsdk._model.receipts import Delivery, InvalidReceipt, Receipt, Record
from asyncsdk._model.reports import INVALID
from asyncsdk.errors import InvalidEventError

logger = logging.getLogger("asyncsdk")

# Of use to whoever has set `on_invalid="report"` and sees an invalid event raise all the same.
_WHY_RAISED = 'This raises in spite of on_invalid="report" because ASYNCSDK_DEV_SERVER is set.'
# A message may contain a key of the caller's, so there may be any number of them.
_MAX_KINDS = 100


class ReportingAdmission(Admission):
    """Admission that reports invalid events, from any thread."""

    must_raise = False

    def __init__(
        self, lanes: Sequence[Lane], wait: Callable[[Sequence[Record]], Awaitable[None]], *, keep_ids: bool = False
    ) -> None:
        """Create the admission to `lanes`; the arguments are those of `Admission`."""
        super().__init__(lanes, wait, keep_ids=keep_ids)
        self._lock = threading.Lock()
        self._known_faults: set[str] = set()

    def prepare(self, event: Event) -> Receipt:
        """Prepare an event as `Admission` does; for an invalid one, return the receipt that says so."""
        try:
            return super().prepare(event)
        except Exception as error:
            if self.must_raise:
                error.add_note(_WHY_RAISED)
                raise
            return self._report(event, error)

    async def prepare_async(self, event: Event) -> Receipt:
        """Like `prepare`, for a pipeline whose middleware may have to be awaited."""
        try:
            return await super().prepare_async(event)
        except Exception as error:
            if self.must_raise:
                error.add_note(_WHY_RAISED)
                raise
            return self._report(event, error)

    def _report(self, event: Event, error: Exception) -> Receipt:
        is_ours = isinstance(error, InvalidEventError)
        fault = str(error) if is_ours else f"the event cannot be read: {type(error).__name__}"
        verb, site = type(event).__name__, find_call_site()
        with self._lock:
            self.invalid_events += 1
            self.last_invalid = f"{fault} ({verb}, {site})"
            is_new = fault not in self._known_faults and len(self._known_faults) < _MAX_KINDS
            self._known_faults.add(fault)
        if is_new:
            msg = "an invalid event is not sent (said once for each kind): %s (%s, %s)"
            has_cause = not is_ours or error.__cause__ is not None
            logger.error(msg, fault, verb, site, exc_info=error if has_cause else None)
        given = getattr(event, "message_id", None)
        message_id = given if isinstance(given, str) and given.strip() else next(self.ids.texts)
        outcomes = [Delivery(name, "rejected", reason=INVALID) for name in self._names]
        return InvalidReceipt(
            message_id, event, int(time.time() * 1000), self._names, [*outcomes], self._wait, error=fault
        )


def find_call_site() -> str:
    """Return the place outside of this package that called it: file, line and function."""
    frame = sys._getframe(1)  # noqa: SLF001 -- as the standard library's logging and warnings do
    while frame is not None:  # pragma: no branch -- one of the frames is the program's
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("asyncio."):
            break
        if not module.startswith("asyncsdk.") or module.startswith("asyncsdk.examples."):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return "in a task of its own"
