"""One event as a vendor received it, and how the history keeps it: as bytes, a fifth of the size of its objects."""

from collections.abc import Hashable
from sys import intern
from typing import Any, TypeAlias

import attrs
import orjson

Json: TypeAlias = Any
"""A decoded JSON value."""

_SAME = object()
"""In place of a `stored` that is the body itself."""
_RECORD_BYTES = 600
"""Memory of an event besides its JSON: the record, its texts, its key, and its place in the history."""


@attrs.define
class ReceivedEvent:
    """One event as a vendor received it.

    Attributes:
        vendor: `"rudderstack"`, `"amplitude"` or `"statsig"`.
        id: The id by which the vendor detects duplicates (`messageId`, `insert_id`); `""` if the event has none.
        user: User id, else anonymous or device id, else `""`.
        kind: The vendor's type of the event: `"track"`, `"identify"`, `"gate_exposure"`...
        name: Name of the event, page, gate and so on; `""` if it has none.
        body: The event as it was sent.
        stored: The event as the vendor stores it; None if it does not.
        key: Duplicates have equal keys; None means that the vendor cannot detect duplicates of this event.
        verdict: `"accepted"`, `"duplicate"`, `"rejected: <reason>"`, or `"lost: <fault>"`.
        request: Number of the request that carried it; 0 for an event that a client refused before sending it.
        attempt: Number of events with this key that had arrived by then, including this one.
        is_blamed: False for an event that is fine, but was rejected because another of its request was not.
        seq: Counts events from 1, over all vendors.
        at: Time of arrival, in seconds since the epoch.
        client: Name of the client that sent it; `""` if it did not say.
        run: The run id that the client sent, by which parallel tests tell their events apart; `""` without one.
    """

    vendor: str
    id: str
    user: str
    kind: str
    name: str
    # Bytes, which are no JSON value, are a packed one: of `_stored`, the fields that the vendor adds to the body.
    _body: Json = attrs.field(repr=lambda value: repr(_unpacked(value)))
    _stored: Json = attrs.field(repr=False)
    key: Hashable = attrs.field(default=None, repr=False)
    verdict: str = "accepted"
    request: int = 0
    attempt: int = 1
    is_blamed: bool = attrs.field(default=True, repr=False)
    seq: int = attrs.field(default=0, repr=False)
    at: float = attrs.field(default=0.0, repr=False)
    client: str = attrs.field(default="", repr=False)
    run: str = attrs.field(default="", repr=False)

    @property
    def body(self) -> Json:
        """The event as it was sent; a copy, once the history keeps it."""
        return _unpacked(self._body)

    @property
    def stored(self) -> Json:
        """The event as the vendor stores it; None if it does not."""
        if self._stored is _SAME:
            return self.body
        if isinstance(self._stored, bytes):
            return {**self.body, **orjson.loads(self._stored)}
        return self._stored

    @property
    def status(self) -> str:
        """The verdict without its reason."""
        return self.verdict.partition(":")[0]

    @property
    def reason(self) -> str:
        """The reason of the verdict; `""` without one."""
        return self.verdict.partition(": ")[2]

    @property
    def json(self) -> bytes:
        """The body as JSON; `b""` if it is nested too deeply to be written."""
        packed = _packed(self._body)
        return packed if isinstance(packed, bytes) else b""

    def pack(self) -> None:
        """Replace the objects of the body by bytes, and share texts that repeat."""
        body, stored = self._body, self._stored
        packed = _packed(body)
        if isinstance(packed, bytes):
            self._stored = _packed_beside(body, stored)
            self._body = packed
        self.vendor, self.kind, self.name = intern(self.vendor), intern(self.kind), intern(self.name)
        self.user, self.client, self.run = intern(self.user), intern(self.client), intern(self.run)

    def memory(self, share: int) -> int:
        """Return roughly how much memory it takes once it is packed, in bytes.

        Args:
            share: Its share of the body of its request, in bytes; counts for an event that cannot be packed.
        """
        if not isinstance(self._body, bytes):
            return _RECORD_BYTES + 8 * share
        beside = len(self._stored) if isinstance(self._stored, bytes) else 0
        return _RECORD_BYTES + len(self._body) + beside


def exact_json(value: Json) -> bytes:
    """Return a value as JSON that takes no more memory than its length: the encoder's own buffer is kept, and larger.

    Raises:
        orjson.JSONEncodeError: It is nested too deeply.
    """
    return bytes(memoryview(orjson.dumps(value)))


def _packed(value: Json) -> Json:
    """Return a value as JSON; the value itself if it is nested too deeply for that."""
    if isinstance(value, bytes):
        return value
    try:
        return exact_json(value)
    except orjson.JSONEncodeError:
        return value


def _packed_beside(body: Json, stored: Json) -> Json:
    """Return what `stored` has besides `body`, as JSON."""
    if stored is body:
        return _SAME
    if not isinstance(stored, dict) or not isinstance(body, dict) or not stored.keys() >= body.keys():
        return stored
    added = {key: value for key, value in stored.items() if key not in body or body[key] != value}
    return exact_json(added)


def _unpacked(value: Json) -> Json:
    return orjson.loads(value) if isinstance(value, bytes) else value
