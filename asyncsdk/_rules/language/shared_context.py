"""The inputs of an evaluation besides the ruleset and the user: environment, ID lists, overrides, clock."""

from collections.abc import Callable, Container, Mapping
from typing import Any

import attrs

from asyncsdk._model.values import Value
from asyncsdk._rules.language.country import Countries
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.language.user_agent import UserAgent, parse


def _ignore(_kind: str, _name: str) -> None:
    """Do nothing about an unknown name, or one that is too large."""


def _ignore_pattern(_name: str, _pattern: str, _fault: str, _unsupported: bool) -> None:  # noqa: FBT001
    """Report a pattern nowhere."""


def _with_blanks(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with "" for None, as statsig-python-core 0.24.2 has it, for rules and in responses."""
    return {name: "" if value is None else value for name, value in fields.items()}


@attrs.frozen(eq=False, repr=False, kw_only=True)
class SharedContext(Value):
    """What is the same for all users of a client.

    Attributes:
        clock: Returns milliseconds since 1970.
        random: Returns a number in [0, 1), for bandits that explore.
        environment: Such as `{"tier": "staging"}`; None means the ruleset's default tier.
        global_custom: Custom fields of every user; the user's own fields win.
        id_lists: The entries of each ID list (`buckets.id_list_key`). May change at any time: read for each lookup.
        app_id: The value of `target_app` conditions; filled in from the ruleset.
        overrides: Local overrides.
        country: Returns the country of an IP address, or None.
        user_agent: Parses a user agent; returns None if it is too long.
        on_unknown: Called with kind and name when a lookup finds that the ruleset has no such name; on any thread.
        report_pattern: Called with what a pattern is of (`gate new_page`), the pattern, what is wrong with it, and
            whether it is unsupported, not just invalid.
        report_too_large: Called with what is too large to be used, such as `gate new_page`, and in which way.
        sources: Cache of `conditions.source_of`, by type and field; only that function uses it.
    """

    clock: Callable[[], int]
    random: Callable[[], float]
    environment: Mapping[str, str] | None = None
    global_custom: Mapping[str, Any] = attrs.field(factory=dict, converter=_with_blanks)
    id_lists: Mapping[str, Container[bytes]] = attrs.Factory(dict)
    app_id: Any = None
    overrides: Overrides = attrs.Factory(Overrides)
    country: Callable[[str], str | None] = attrs.Factory(lambda: Countries().find)
    user_agent: Callable[[str], UserAgent | None] = parse
    on_unknown: Callable[[str, str], object] = _ignore
    report_pattern: Callable[[str, str, str, bool], object] = _ignore_pattern
    report_too_large: Callable[[str, str], object] = _ignore
    sources: dict[Any, Any] = attrs.field(init=False, factory=dict, eq=False, repr=False)
