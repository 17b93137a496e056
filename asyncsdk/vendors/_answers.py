"""The meaning of an HTTP response whose body adds nothing; shared by all vendors."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from asyncsdk.vendors._base import Response, Verdict

MAX_RETRY_AFTER = 3600.0
# Wrong path, wrong key, disabled source, redirect: a person has to act.
_HALTS = frozenset({401, 404, *range(300, 400)})
# Errors that a retry cannot fix: an invalid certificate, or an address or key that no request can carry.
PERMANENT_ERRORS = frozenset({"certificate", "request"})
# The vendor is failing, busy or unreachable. 501 and 505 are permanent.
_RETRIES = frozenset({408, 425, 429, 499, *range(500, 600)} - {501, 505})


def judge_by_status(response: Response, count: int) -> Verdict:
    """Return what a status means for a batch; the table is in `README.md`, "Responses".

    Args:
        response: Any response.
        count: Number of chunks in the batch.
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
        # Firewalls answer 403 too, for a while or because of one event's contents: retry first, then look for it.
        return Verdict(halve=True, halve_after=3, reason=reason)
    return Verdict(reject=dict.fromkeys(range(count), reason), reason=reason)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return `Retry-After` in seconds, from 0 to 3,600; None if it is missing or malformed.

    The header may be a number of seconds or a date. A date is compared with the response's own `Date` header, so that
    neither side's clock matters; without that header it is ignored.
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
