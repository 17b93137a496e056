"""JSON as RudderStack's Go gateway reads it, where that differs from what orjson reads.

Differences that are kept: bytes that are not UTF-8 and lone surrogates become U+FFFD, all numbers are
float64, and 1e400 is refused. Differences that are not: of duplicate keys the last one counts unless one of
the above occurs (in the gateway always the first), and nothing nested deeper than some 900 levels is read
(in the gateway some 10,000; the vendor documents 200).
"""

import json
import re

import orjson

from asyncsdk.dev.messages import BrokenBodyError, Json

_LONG_NUMBER = re.compile(rb"\d{16}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def loads(body: bytes) -> Json:
    """Parse `body`.

    Raises:
        BrokenBodyError: The gateway would call it invalid JSON.
    """
    if not _LONG_NUMBER.search(body):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    try:
        return _slowly(body)
    except (ValueError, RecursionError) as error:
        raise BrokenBodyError(str(error)) from error


def _slowly(body: bytes) -> Json:
    text = body.decode("utf-8", "replace")
    value = json.loads(text, parse_int=_number, object_pairs_hook=_first_wins)
    clean = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return orjson.loads(_LONE_SURROGATE.sub("\ufffd", clean))


def _number(digits: str) -> int | float:
    value = int(digits) if len(digits) < 20 else float(digits)
    return value if abs(value) <= 2**53 else float(value)


def _first_wins(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    values: dict[str, Json] = {}
    for key, value in pairs:
        values.setdefault(key, value)
    return values
