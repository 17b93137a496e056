"""JSON as RudderStack's Go gateway reads it, where that differs from what orjson reads.

| input | gateway | here |
|---|---|---|
| bytes that are not UTF-8, lone surrogates | U+FFFD | the same |
| numbers | float64; 1e400 is rejected | the same |
| duplicate keys | the first one counts | the last one, unless the slow path is taken |
| nesting | about 10,000 levels (200 are documented) | about 900 levels |

orjson reads nearly all bodies. The slow path, the standard library, is taken only if orjson fails, or if a number may
be beyond float64's 53 bits.
"""

import json
import re

import orjson

from asyncsdk.dev.messages import BrokenBodyError
from asyncsdk.dev.received_event import Json

_LONG_NUMBER = re.compile(rb"\d{16}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def loads(body: bytes) -> Json:
    """Parse `body`.

    Raises:
        BrokenBodyError: The body is not JSON to the gateway.
    """
    if not _LONG_NUMBER.search(body):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    try:
        return _load_slowly(body)
    except (ValueError, RecursionError) as error:
        raise BrokenBodyError(str(error)) from error


def _load_slowly(body: bytes) -> Json:
    text = body.decode("utf-8", "replace")
    value = json.loads(text, parse_int=_number, object_pairs_hook=_first_wins)
    clean = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return orjson.loads(_LONE_SURROGATE.sub("\ufffd", clean))


def _number(digits: str) -> int | float:
    # float64 cannot hold every integer beyond 2**53, so the gateway rounds those.
    value = int(digits) if len(digits) < 20 else float(digits)
    return value if abs(value) <= 2**53 else float(value)


def _first_wins(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    values: dict[str, Json] = {}
    for key, value in pairs:
        values.setdefault(key, value)
    return values
