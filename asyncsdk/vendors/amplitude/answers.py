"""What Amplitude's answers mean.

Sources: as in `__init__.py`; the tests of analytics-go, Amplitude-Java and `amplitude-analytics` agree on
them. A request is accepted whole or refused whole, so after a 400 or 429 the events that it does not name
are sent again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs
import orjson

from asyncsdk.vendors._answers import judge_by_status, retry_after
from asyncsdk.vendors._base import Response, Verdict

Json = Any

# Which key of an answer names events by position, and why they are refused.
_REJECTED_BY_POSITION = (
    ("events_with_invalid_fields", "invalid field"),
    ("events_with_missing_fields", "missing field"),
    ("events_with_invalid_id_lengths", "id too short"),
)
# Which keys name events by their user or device.
_REJECTED_BY_ID = (
    ("silenced_devices", "device_id", "silenced"),
    ("exceeded_daily_quota_devices", "device_id", "daily quota"),
    ("exceeded_daily_quota_users", "user_id", "daily quota"),
)
_PAUSED_BY_ID = (("throttled_devices", "device_id"), ("throttled_users", "user_id"))


def judge(response: Response, chunks: Sequence[bytes], throttled_for: float) -> Verdict:
    """Say what `response` means for each of `chunks`.

    Args:
        response: Anything.
        chunks: The events of the request.
        throttled_for: How long Amplitude wants a throttled user or device to pause, in seconds.
    """
    answer = _parse_object(response.body)
    code = answer.get("code")
    # The body knows better than the status, which a proxy may have changed.
    if isinstance(code, int) and 100 <= code < 600:
        response = attrs.evolve(response, status=code)
    if response.status == 400:
        return _judge_invalid(response, answer, chunks, throttled_for)
    if response.status == 429:
        wait = retry_after(response.headers) or throttled_for
        named = _judge_named_events(answer, chunks, wait, "status 429")
        return named or Verdict(retry=range(len(chunks)), retry_after=wait, reason="status 429")
    return judge_by_status(response, len(chunks))


def _judge_invalid(response: Response, answer: Mapping[str, Json], chunks: Sequence[bytes], wait: float) -> Verdict:
    if str(answer.get("error")).startswith("Invalid API key"):
        return Verdict(halt=True, reason="invalid API key")
    if answer.get("missing_field"):
        # Something on the way takes fields out of requests, and would again.
        return Verdict(reject=dict.fromkeys(range(len(chunks)), "request incomplete"), reason="status 400")
    return _judge_named_events(answer, chunks, wait, "status 400") or judge_by_status(response, len(chunks))


def _judge_named_events(
    answer: Mapping[str, Json], chunks: Sequence[bytes], wait: float, reason: str
) -> Verdict | None:
    """Refuse and pause the events that an answer names, and send the others again; None if it names none."""
    reject = dict(_rejected_positions(answer, chunks))
    pause = [position for position in sorted(set(_paused_positions(answer, chunks))) if position not in reject]
    if not reject and not pause:
        return None
    named = reject.keys() | pause
    resend = [position for position in range(len(chunks)) if position not in named]
    return Verdict(resend=resend, reject=reject, pause=pause, pause_for=wait if pause else 0.0, reason=reason)


def _rejected_positions(answer: Mapping[str, Json], chunks: Sequence[bytes]) -> Iterator[tuple[int, str]]:
    for key, reason in _REJECTED_BY_POSITION:
        fields = answer.get(key)
        if isinstance(fields, dict):
            for positions in fields.values():
                yield from ((position, reason) for position in _valid_positions(positions, len(chunks)))
    yield from ((position, "silenced") for position in _valid_positions(answer.get("silenced_events"), len(chunks)))
    for key, field, reason in _REJECTED_BY_ID:
        yield from ((position, reason) for position in _positions_with_ids(answer.get(key), field, chunks))


def _paused_positions(answer: Mapping[str, Json], chunks: Sequence[bytes]) -> Iterator[int]:
    yield from _valid_positions(answer.get("throttled_events"), len(chunks))
    for key, field in _PAUSED_BY_ID:
        yield from _positions_with_ids(answer.get(key), field, chunks)


def _valid_positions(value: Json, count: int) -> Iterator[int]:
    """Give the positions that a list has, without what is none of this request."""
    for position in value if isinstance(value, list) else ():
        if isinstance(position, int) and not isinstance(position, bool) and 0 <= position < count:
            yield position


def _positions_with_ids(ids: Json, field: str, chunks: Sequence[bytes]) -> Iterator[int]:
    """Give the positions of the events whose `field` is one of `ids`, a list or the keys of an object."""
    wanted: Collection[Json] = (
        {value for value in ids if isinstance(value, str)} if isinstance(ids, list | dict) else ()
    )
    if wanted:
        for position, chunk in enumerate(chunks):
            if _parse_object(chunk + b"}").get(field) in wanted:
                yield position


def _parse_object(text: bytes) -> Mapping[str, Json]:
    """Read a JSON object; anything else is an empty one."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
