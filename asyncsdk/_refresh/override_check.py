"""Warns of local overrides that name a group which the experiment does not have."""

import logging

import attrs

from asyncsdk._rules.catalog import missing_groups
from asyncsdk._rules.ruleset import Ruleset

logger = logging.getLogger("asyncsdk.rules")


@attrs.define(eq=False, repr=False)
class OverrideCheck:
    """Logs one warning for each override by group that cannot apply, and again if it could in the meantime."""

    _warned: frozenset[tuple[str, str]] = frozenset()

    def check(self, rules: Ruleset) -> None:
        """Check the overrides of a ruleset. Before the first rules arrive, nothing is known of any experiment."""
        if not rules.sections:
            return
        missing = {(name, group): known for name, group, known in missing_groups(rules)}
        for (name, group), known in missing.items():
            if (name, group) not in self._warned:
                has = f"its groups are {', '.join(map(repr, known))}" if known else "the rules have no such experiment"
                logger.warning("override of the experiment %r: no group %r; %s. The rules decide", name, group, has)
        self._warned = frozenset(missing)
