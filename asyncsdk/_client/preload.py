"""What a client imports when it is constructed, because its settings need it.

`import asyncsdk` does without these modules, and nothing is imported on the running loop later, where it would block.
The spool, engines, sticky assignments and the refresher are imported where the client's parts are built; the modules
here by functions that run later. The other half of this list is `LAZY` in tests/test_layers.py.
"""

from importlib import import_module

# aiohttp, which takes longer to import than all the rest.
MODULES_FOR_REQUESTS = ("asyncsdk._transport",)
# What verbs use that a service may call, but most lookups do not need.
MODULES_FOR_RULES = (
    "asyncsdk._lookups.all_results",
    "asyncsdk._rules.bootstrap",
    "asyncsdk._rules.catalog",
    "asyncsdk._rules.explain",
)


def preload(*, has_rules: bool, sends: bool) -> None:
    """Import what a client will need.

    Args:
        has_rules: Whether it has a source of rules.
        sends: Whether it sends requests.
    """
    for module in (*(MODULES_FOR_REQUESTS if sends else ()), *(MODULES_FOR_RULES if has_rules else ())):
        import_module(module)
