"""Versions of a ruleset, numbered by their time as Statsig does, each later than the one before. Pure."""

import zlib
from collections.abc import Mapping

import attrs
import orjson

from asyncsdk.dev.received_event import Json
from asyncsdk.dev.ruleset_formats import CONVERSIONS, BrokenRulesetError, Format, format_of


@attrs.define(eq=False)
class Version:
    """One version of a ruleset.

    Attributes:
        time: Time of the project's last change, in milliseconds since 1970; later than that of any earlier version.
        checksum: Differs from that of the previous version.
        raw: The JSON it was built from.
        format: The format of `raw`.
        ruleset: What `raw` says.
    """

    time: int
    checksum: str
    raw: bytes = attrs.field(repr=False)
    format: Format
    ruleset: Mapping[str, Json] = attrs.field(repr=False)
    _bodies: dict[Format, bytes] = attrs.field(factory=dict, init=False, repr=False)

    def body(self, target: Format) -> bytes:
        """Return the version in a format, as the body of a reply; converted once."""
        if target not in self._bodies:
            ruleset = CONVERSIONS[self.format, target](self.ruleset)
            # After the ruleset's own values, which they replace.
            head = {"has_updates": True, "time": self.time, "checksum": self.checksum}
            self._bodies[target] = orjson.dumps({**ruleset, **head})
        return self._bodies[target]

    def is_known(self, since: int, checksum: str) -> bool:
        """Return whether a client has this version already.

        Args:
            since: Time of the version that the client has; 0 if it has none.
            checksum: Checksum of that version; `""` if the client did not send one.
        """
        return since > 0 and (checksum == self.checksum if checksum else since >= self.time)


def next_version(raw: bytes, previous: Version | None, not_before: int = 0) -> Version:
    """Build the next version of a ruleset, or return the previous one if the JSON is the same.

    Args:
        raw: JSON in either format, as downloaded or written by hand.
        previous: The version that is served now; None if there is none.
        not_before: Minimum `time` of the new version, in milliseconds since 1970.

    Raises:
        BrokenRulesetError: It is not JSON, or not a ruleset.
    """
    if previous is not None and previous.raw == raw:
        return previous
    ruleset = _parse(raw)
    source_format = format_of(ruleset)
    time, checksum = ruleset.get("time"), ruleset.get("checksum")
    previous_time = previous.time if previous is not None else 0
    # A checksum that did not change with the rules would hide the new version from clients.
    if not isinstance(checksum, str) or not checksum or (previous is not None and checksum == previous.checksum):
        checksum = str(zlib.crc32(raw))
    return Version(max(_integer_or_0(time), previous_time + 1, not_before), checksum, raw, source_format, ruleset)


def _parse(raw: bytes) -> dict[str, Json]:
    try:
        ruleset = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        msg = f"it is not JSON: {error}"
        raise BrokenRulesetError(msg) from error
    if not isinstance(ruleset, dict):
        msg = "it is not an object"
        raise BrokenRulesetError(msg)
    return ruleset


def _integer_or_0(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
