"""Statsig: its event log, and where its rules come from."""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import uuid4

import attrs

from asyncsdk._model.events import Event
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Limits, Overflow, Refusal, Request, Response, Verdict
from asyncsdk.vendors._settings import check_key, check_overflow, check_url
from asyncsdk.vendors.statsig import events

__all__ = ["Statsig"]

LOG_EVENT_URL = "https://statsigapi.net" + events.PATH


def _check_secret(_: object, __: object, key: Any) -> None:
    if not (isinstance(key, str) and key.startswith("secret-")):
        msg = "Statsig needs a server secret key, which starts with 'secret-'; others have no access to rules"
        raise ConfigurationError(msg)


@attrs.frozen
class Statsig:
    """Events to Statsig.

    Attributes:
        secret_key: The project's server secret key.
        environment: Such as `production` or `staging`, for users that do not name their own; None sends none,
            which Statsig takes for production.
        log_event_url: Where events go, the whole address.
        message_ids: Send each event's id in its metadata, as `asyncsdk_event_id`: Statsig drops no copies,
            so where events outlive a process somebody else may want to.
        session_id: Names this client in requests; one is made if it is not given.
        name: What reports and `integrations` call it.
        overflow: What a full queue does: `drop`, `wait` or `raise`.
        limits: Of requests, memory and time. Statsig's own packages send up to 1,000 to 2,000 events a
            request.

    Raises:
        ConfigurationError: A setting cannot work.
    """

    secret_key: str = attrs.field(repr=False, validator=_check_secret)
    environment: str | None = attrs.field(default=None, kw_only=True, validator=attrs.validators.optional(check_key))
    log_event_url: str = attrs.field(default=LOG_EVENT_URL, kw_only=True, validator=check_url)
    message_ids: bool = attrs.field(default=False, kw_only=True)
    session_id: str = attrs.field(factory=lambda: str(uuid4()), kw_only=True, repr=False, validator=check_key)
    name: str = attrs.field(default="Statsig", kw_only=True, validator=check_key)
    overflow: Overflow = attrs.field(default="drop", kw_only=True, validator=check_overflow)
    limits: Limits = attrs.field(factory=lambda: Limits(events=1000), kw_only=True)

    forwards: ClassVar[bool] = False

    def encode(self, event: Event, message_id: str, time_ms: int) -> bytes | Refusal:
        """Make Statsig's event, but for its closing brace."""
        own = None if event.integrations is None else event.integrations.get(self.name)
        return events.encode(event, time_ms, self.environment, own, message_id if self.message_ids else None)

    def frame(self, chunks: Sequence[bytes], now_ms: int) -> Request:
        """Put the events into one body."""
        return events.frame(chunks, now_ms, self.log_event_url, self.secret_key, self.session_id)

    def judge(self, response: Response, chunks: Sequence[bytes]) -> Verdict:
        """Go by the status, and by a `success` that is false; Statsig says nothing of single events."""
        return events.judge(response, len(chunks))
