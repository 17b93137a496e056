"""Where rules come from, and which replace which."""

from collections.abc import Generator, Iterator

from asyncsdk._rules.loading import supersedes
from asyncsdk._rules.ruleset import Ruleset

NETWORK, BOOTSTRAP, CACHE = "Network", "Bootstrap", "Adapter(DataStore)"
UNINITIALIZED, NO_VALUES = "Uninitialized", "NoValues"


def should_replace(new: Ruleset, old: Ruleset) -> bool:
    """Return whether new rules should replace the old ones: the table at the head of `refresher.py`."""
    if new.source == CACHE:
        return not old.sections
    return (old.source == BOOTSTRAP and new.source in (BOOTSTRAP, NETWORK)) or supersedes(new, old)


def as_generator(steps: Iterator[None]) -> Generator[None, None, None]:
    """Return steps as a generator, which a `CooperativeRunner` takes."""
    yield from steps
