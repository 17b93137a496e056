"""What an evaluation knows besides the ruleset and the user: environment, ID lists, overrides, clock."""

from collections.abc import Callable, Container, Mapping
from typing import Any

import attrs

from asyncsdk._rules.language.country import Countries
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.language.user_agent import UserAgent, parse


@attrs.frozen(kw_only=True)
class SharedContext:
    """What is the same for all users of a client.

    Attributes:
        clock: Gives milliseconds since 1970.
        random: Gives a number in [0, 1), for bandits that explore.
        environment: Such as `{"tier": "staging"}`; None takes the ruleset's default tier.
        global_custom: Custom fields of every user; the user's own win.
        knows_groups: Whether `experiment_group` conditions are known; in a client's response they are not.
        id_lists: Entries of each ID list (`buckets.id_list_entry`); may change under way, and is looked at per lookup.
        app_id: The app that `target_app` conditions see; a ruleset that names one fills it in.
        overrides: Answers that local overrides give.
        country: Finds the country of an IP address.
        user_agent: Reads a user agent; None when it cannot be read.
        sources: Where conditions have values of a user from, by type and field; belongs to `conditions`.
    """

    clock: Callable[[], int]
    random: Callable[[], float]
    environment: Mapping[str, str] | None = None
    global_custom: Mapping[str, Any] = attrs.Factory(dict)
    id_lists: Mapping[str, Container[str]] = attrs.Factory(dict)
    app_id: Any = None
    knows_groups: bool = True
    overrides: Overrides = attrs.Factory(Overrides)
    country: Callable[[str], str | None] = attrs.Factory(lambda: Countries().find)
    user_agent: Callable[[str], UserAgent | None] = parse
    sources: dict[Any, Any] = attrs.field(init=False, factory=dict, eq=False, repr=False)
