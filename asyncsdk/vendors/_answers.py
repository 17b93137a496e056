"""The meaning of an HTTP response whose body adds nothing; shared by all vendors."""

import re
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import orjson

from asyncsdk.vendors._base import Request, Response, Verdict

# Statuses for which a person has to act, with what to check: wrong key, wrong path, disabled source, redirect.
_HALTS = {401: "its key", 404: "its address, and that the source is enabled"} | dict.fromkeys(
    range(300, 400), "its address"
)
_PERMANENT = {"certificate": "the certificate of its address", "request": "its key and address"}
MAX_RETRY_AFTER = 3600.0
# Errors that a retry cannot fix: an invalid certificate, or an address or key that no request can carry.
PERMANENT_ERRORS = frozenset(_PERMANENT)
HTML = "an HTML page instead of an answer"
_HTML_TYPES = ("text/html", "application/xhtml+xml")
# Byte order marks, and white space in UTF-8 or UTF-16.
_BEFORE_TEXT = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n\v\f"
_INVISIBLE = re.compile(rb"(?is)<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>?|[\x00-\x20\x7f]+")
# Bytes of a page that are searched for its first words, and characters of these that are logged.
_MAX_SCANNED, _MAX_WORDS = 4000, 80
# What may be a key or a user's value, such as an email address; and a part of one, between any other characters.
_WORD, _PART = re.compile(r"[^\s\"'`<>()\[\]{},;:=]{6,}(?<![.!?])"), re.compile(r"[\w+-]{6,}")
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
        return _judge_page(response.body) if is_html(response) else Verdict()
    reason = f"status {status}" if status else response.error or "no answer"
    if (check := _HALTS.get(status) or _PERMANENT.get(response.error)) is not None:
        return Verdict(halt=True, reason=reason, check=check, detail=_redirect(response) or response.detail)
    if status < 200 or status in _RETRIES:
        return Verdict(retry=range(count), retry_after=retry_after(response.headers), reason=reason)
    if status in (400, 413):
        return Verdict(halve=True, too_large=status == 413, reason=reason)
    if status == 403:
        # Firewalls answer 403 too, for a while or because of one event's contents: retry first, then look for it.
        return Verdict(halve=True, halve_after=3, reason=reason)
    return Verdict(reject=dict.fromkeys(range(count), reason), reason=reason)


def _judge_page(body: bytes) -> Verdict:
    return Verdict(halt=True, reason=HTML, check="its address", detail=first_words(body))


def is_html(response: Response) -> bool:
    """Return whether a response is an HTML page, as of a captive portal or a catch-all route, by its type or its start.

    Servers that are compatible with RudderStack answer in many ways, some with JSON or `OK` of a wrong type.
    """
    body = response.body.lstrip(_BEFORE_TEXT)
    if body.startswith(b"<"):
        return True
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in _HTML_TYPES and body.strip().lower() != b"ok" and not _is_json(body)


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    else:
        return True


def first_words(body: bytes, request: Request | None = None) -> str:
    """Return the first words of a page, without its tags and with all else on one line.

    Args:
        body: The page.
        request: The request that it answers: pages often repeat its address, and keys may be in that. None: the caller
            removes what it repeats.
    """
    text = _INVISIBLE.sub(b" ", body[:_MAX_SCANNED]).decode("utf-8", "replace")
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    words = words if request is None else without_echoes(words, request)
    # Whole words only: half a key would not be recognised.
    return words if len(words) <= _MAX_WORDS else words[: _MAX_WORDS + 1].rpartition(" ")[0] + "..."


def without_echoes(text: str, request: Request) -> str:
    """Return a text without the words that a request contains: keys, users' values."""
    headers = [value.encode() for value in request.headers.values()]
    for value in headers[:]:
        with suppress(ValueError):  # RudderStack's key is in a header of HTTP's basic authentication
            headers.append(b64decode(value.removeprefix(b"Basic "), validate=True))
    sent = b"\n".join((request.body, request.url.encode(), request.secret.encode(), *headers))
    for words in (_WORD, _PART):
        text = words.sub(lambda word: "..." if word[0].encode() in sent else word[0], text)
    return text


def _redirect(response: Response) -> str:
    """Return where a response redirects to, without path and query, which may hold secrets; "" if nowhere."""
    try:
        to = urlsplit(response.headers.get("location", ""))
        host = to.hostname
    except ValueError:
        return ""
    return f"to {to.scheme or 'the same scheme'}://{host}" if host else ""


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
