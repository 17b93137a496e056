"""What an HTTP answer means when the vendor's body adds nothing: shared by the codecs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from asyncsdk.vendors._base import Response, Verdict

MAX_RETRY_AFTER = 3600.0
# A wrong path, a wrong key, a source switched off, a redirect: a person has to act.
_HALTS = frozenset({401, 404, *range(300, 400)})
# No answer, and there will be none: the certificate is refused, or nothing can be sent to this address with this key.
PERMANENT_ERRORS = frozenset({"certificate", "request"})
# The vendor is unwell, busy, or was not reached. 501 and 505 will not get better.
_RETRIES = frozenset({408, 425, 429, 499, *range(500, 600)} - {501, 505})


def judge_by_status(response: Response, count: int) -> Verdict:
    """Say what the status means for `count` events; a 403 is retried, then its culprit is looked for.

    The status table is `README.md`'s, "What an answer means".
    """
    status = response.status
    if 200 <= status < 300:
        return Verdict()
    reason = f"status {status}" if status else response.error or "no answer"
    if response.error in PERMANENT_ERRORS or status in _HALTS:
        return Verdict(halt=True, reason=reason)
    if status < 200 or status in _RETRIES:
        return Verdict(retry=range(count), retry_after=retry_after(response.headers), reason=reason)
    if status in (400, 413):
        return Verdict(halve=True, too_large=status == 413, reason=reason)
    if status == 403:
        return Verdict(halve=True, halve_after=3, reason=reason)
    return Verdict(reject=dict.fromkeys(range(count), reason), reason=reason)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After`, in seconds or as a date, into 0 to 3,600 seconds; None when absent or unreadable.

    A date counts from the answer's own `Date`, so a wrong clock on either side does not matter; without one
    there is nothing to count from.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER)
    until, sent = _date(text), _date(headers.get("date", ""))
    if until is None or sent is None:
        return None
    return min(max((until - sent).total_seconds(), 0.0), MAX_RETRY_AFTER)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
