"""Versions of a ruleset, as Statsig numbers them: each later than the one before. Pure."""

import zlib
from collections.abc import Mapping

import attrs
import orjson

from asyncsdk.dev.messages import Json
from asyncsdk.dev.ruleset_formats import FORMS, BrokenRulesetError, Form, form_of


@attrs.define(eq=False)
class Version:
    """One version of a ruleset.

    Attributes:
        time: When the project was last changed, in milliseconds since 1970; grows with each version.
        checksum: Differs from that of the version before.
        raw: What it was made from.
        form: The form that was given in.
    """

    time: int
    checksum: str
    raw: bytes = attrs.field(repr=False)
    form: Form
    _ruleset: Mapping[str, Json] = attrs.field(repr=False)
    _bodies: dict[Form, bytes] = attrs.field(factory=dict, init=False, repr=False)

    def body(self, form: Form) -> bytes:
        """Give it in a form, as a whole answer."""
        if form not in self._bodies:
            ruleset = FORMS[self.form, form](self._ruleset)
            head = {"has_updates": True, "time": self.time, "checksum": self.checksum}
            self._bodies[form] = orjson.dumps({**ruleset, **head})
        return self._bodies[form]

    def is_known(self, since: int, checksum: str) -> bool:
        """Say whether a client that has the version of `since` (0: none) needs nothing; `checksum` may be empty."""
        return since > 0 and (checksum == self.checksum if checksum else since >= self.time)


def next_version(raw: bytes, previous: Version | None, not_before: int = 0) -> Version:
    """Make a version of a ruleset; `previous` itself, if it is made from the same bytes.

    Args:
        raw: JSON of either form, as downloaded or written by hand.
        previous: What was served before; None: nothing.
        not_before: The least `time` it may have.

    Raises:
        BrokenRulesetError: It is not JSON, or no ruleset.
    """
    if previous is not None and previous.raw == raw:
        return previous
    ruleset = _parse(raw)
    form = form_of(ruleset)
    time, checksum = ruleset.get("time"), ruleset.get("checksum")
    before = previous.time if previous is not None else 0
    if not isinstance(checksum, str) or not checksum or (previous is not None and checksum == previous.checksum):
        checksum = str(zlib.crc32(raw))
    return Version(max(_whole(time), before + 1, not_before), checksum, raw, form, ruleset)


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


def _whole(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
