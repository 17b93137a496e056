"""The meaning of Amplitude's responses.

Sources: as in `__init__.py`; the tests of analytics-go, Amplitude-Java and `amplitude-analytics` agree. Amplitude
accepts or refuses a request as a whole. After a 400 or 429 that names events, the named ones are rejected or paused,
and all others are sent again at once.

A body names events in three ways, each with a table below:

1. by position, under the field at fault: `{"events_with_invalid_fields": {"time": [0, 3]}}`;
2. by position alone: `silenced_events`, `throttled_events`;
3. by the id of a user or device: `{"throttled_users": {"user-1": 33}}`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs
import orjson

from asyncsdk.vendors._answers import judge_by_status, retry_after
from asyncsdk.vendors._base import Response, Verdict

Json = Any

# Case 1: key of the body, reason.
_REJECTED_BY_POSITION = (
    ("events_with_invalid_fields", "invalid field"),
    ("events_with_missing_fields", "missing field"),
    ("events_with_invalid_id_lengths", "id too short (min_id_length)"),
)
# Case 3: key of the body, field of the event, reason.
_REJECTED_BY_ID = (
    ("silenced_devices", "device_id", "silenced"),
    ("exceeded_daily_quota_devices", "device_id", "daily quota"),
    ("exceeded_daily_quota_users", "user_id", "daily quota"),
)
_PAUSED_BY_ID = (("throttled_devices", "device_id"), ("throttled_users", "user_id"))


def judge(response: Response, chunks: Sequence[bytes], throttled_for: float) -> Verdict:
    """Return what a response means for each chunk.

    Args:
        response: Any response.
        chunks: The chunks of the request.
        throttled_for: Pause of a throttled user or device, in seconds, unless the response has `Retry-After`.
    """
    body = _parse_object(response.body)
    code = body.get("code")
    # The code in the body overrides the status, which a proxy may have changed.
    if isinstance(code, int) and 100 <= code < 600:
        response = attrs.evolve(response, status=code)
    if response.status == 400:
        return _judge_invalid(response, body, chunks, throttled_for)
    if response.status == 429:
        wait = retry_after(response.headers) or throttled_for
        named = _judge_named_events(body, chunks, wait, "status 429")
        return named or Verdict(retry=range(len(chunks)), retry_after=wait, reason="status 429")
    return judge_by_status(response, len(chunks))


def _judge_invalid(response: Response, body: Mapping[str, Json], chunks: Sequence[bytes], wait: float) -> Verdict:
    if str(body.get("error")).startswith("Invalid API key"):
        return Verdict(halt=True, reason="invalid API key", check="its key")
    if body.get("missing_field"):
        # A proxy removes fields from the request and would do so again.
        return Verdict(reject=dict.fromkeys(range(len(chunks)), "request incomplete"), reason="status 400")
    return _judge_named_events(body, chunks, wait, "status 400") or judge_by_status(response, len(chunks))


def _judge_named_events(body: Mapping[str, Json], chunks: Sequence[bytes], wait: float, reason: str) -> Verdict | None:
    """Reject or pause the events that a body names and resend the others; None if it names none."""
    reject = dict(_rejected_positions(body, chunks))
    # An event that is both rejected and paused is rejected.
    pause = [position for position in sorted(set(_paused_positions(body, chunks))) if position not in reject]
    if not reject and not pause:
        return None
    named = reject.keys() | pause
    resend = [position for position in range(len(chunks)) if position not in named]
    return Verdict(resend=resend, reject=reject, pause=pause, pause_for=wait if pause else 0.0, reason=reason)


def _rejected_positions(body: Mapping[str, Json], chunks: Sequence[bytes]) -> Iterator[tuple[int, str]]:
    # Case 1.
    for key, reason in _REJECTED_BY_POSITION:
        fields = body.get(key)
        if isinstance(fields, dict):
            for positions in fields.values():
                yield from ((position, reason) for position in _valid_positions(positions, len(chunks)))
    # Case 2.
    yield from ((position, "silenced") for position in _valid_positions(body.get("silenced_events"), len(chunks)))
    # Case 3.
    for key, field, reason in _REJECTED_BY_ID:
        yield from ((position, reason) for position in _positions_with_ids(body.get(key), field, chunks))


def _paused_positions(body: Mapping[str, Json], chunks: Sequence[bytes]) -> Iterator[int]:
    # Case 2.
    yield from _valid_positions(body.get("throttled_events"), len(chunks))
    # Case 3.
    for key, field in _PAUSED_BY_ID:
        yield from _positions_with_ids(body.get(key), field, chunks)


def _valid_positions(value: Json, count: int) -> Iterator[int]:
    """Yield the valid positions in a list; anything else is ignored."""
    for position in value if isinstance(value, list) else ():
        if isinstance(position, int) and not isinstance(position, bool) and 0 <= position < count:
            yield position


def _positions_with_ids(ids: Json, field: str, chunks: Sequence[bytes]) -> Iterator[int]:
    """Yield the positions of events whose `field` is one of `ids`, which is a list or the keys of an object."""
    wanted: Collection[Json] = (
        {value for value in ids if isinstance(value, str)} if isinstance(ids, list | dict) else ()
    )
    if wanted:
        # Parses every chunk of the batch, but only when a response names ids, which is rare.
        for position, chunk in enumerate(chunks):
            if _parse_object(chunk + b"}").get(field) in wanted:
                yield position


def _parse_object(text: bytes) -> Mapping[str, Json]:
    """Parse a JSON object; return an empty one for anything else."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
