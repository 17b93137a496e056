"""Remembers names that lookups asked for and that the rules do not have: most are misspelt, or not created yet."""

import attrs

from asyncsdk._refresh.polling import logger
from asyncsdk._rules.ruleset import Ruleset

UNKNOWN_NAME = "%s: the rules have no %s named %r"
"""The message in the log: the source of rules, the kind and the name."""
_MAX_NAMES = 1_000
_MAX_LENGTH = 200
"""Maximum number of characters of a name that are kept and logged: names may come from requests."""


@attrs.define(eq=False, repr=False)
class UnknownNames:
    """The names, each logged once at DEBUG. Bounded: names beyond the first thousand are not counted.

    Attributes:
        source: Name of the source of rules, for the log.
    """

    source: str
    _names: set[tuple[str, str]] = attrs.field(init=False, factory=set)

    def record(self, kind: str, name: object) -> None:
        """Record a name; from any thread."""
        if not isinstance(name, str) or len(self._names) >= _MAX_NAMES:
            return
        key = (kind, name[:_MAX_LENGTH])
        if key not in self._names:
            self._names.add(key)
            logger.debug(UNKNOWN_NAME, self.source, kind.replace("_", " "), key[1])

    def count(self, rules: Ruleset) -> int:
        """Return how many of the names these rules do not have: a name that was created since is not counted."""
        return sum(not _has(rules, kind, name) for kind, name in list(self._names))


def _has(rules: Ruleset, kind: str, name: str) -> bool:
    if kind == "parameter_store":
        return rules.raw("param_stores", name) is not None
    return kind in rules.kinds_of(name)
