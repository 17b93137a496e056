"""The asyncio-native SDK for feature gates and product events."""

from importlib import import_module
from types import FunctionType
from typing import TYPE_CHECKING, Any

from asyncsdk._client.client import Client
from asyncsdk._delivery.spool.setting import SpoolLike
from asyncsdk._events.builtin import redact, sample
from asyncsdk._events.middleware import Middleware, Next, Payload, map_events
from asyncsdk._lookups.flags import Flags
from asyncsdk._model.amplitude import Identify, IngestionMetadata, Plan, Revenue
from asyncsdk._model.events import (
    Alias,
    Event,
    EventObject,
    Group,
    IdentifyEvent,
    LogEvent,
    Page,
    RawEvent,
    Screen,
    Track,
)
from asyncsdk._model.events import Options as EventOptions
from asyncsdk._model.http import HttpSettings
from asyncsdk._model.receipts import Delivery, Receipt
from asyncsdk._model.reports import (
    AssignmentsHealth,
    DestinationHealth,
    DestinationReport,
    EngineHealth,
    Health,
    OverridesHealth,
    Report,
    RequestInfo,
    RulesetChange,
    RulesHealth,
    SpoolHealth,
    StartReport,
)
from asyncsdk._model.results import Details, DynamicConfig, Experiment, FeatureGate, Layer, LookupResult, ParameterStore
from asyncsdk._model.users import User, UserLike
from asyncsdk._version import __version__
from asyncsdk.errors import (
    AsyncSDKError,
    ClientClosedError,
    ConfigurationError,
    ForkedProcessError,
    InvalidEventError,
    QueueFullError,
    StartError,
    TransactionError,
    WrongEventLoopError,
)
from asyncsdk.vendors._base import Destination, Limits
from asyncsdk.vendors.statsig import Rules, Statsig

if TYPE_CHECKING:
    from asyncsdk._model.catalog import AllResults, ExperimentGroup, ExperimentGroups, Names
    from asyncsdk._rules.explain import Explanation
    from asyncsdk.vendors.amplitude import Amplitude
    from asyncsdk.vendors.rudderstack import RudderStack

# Imported on first use: most programs use one or none of them. Type checkers read the same from above.
_LAZY = {
    "AllResults": "asyncsdk._model.catalog",
    "Amplitude": "asyncsdk.vendors.amplitude",
    "ExperimentGroup": "asyncsdk._model.catalog",
    "ExperimentGroups": "asyncsdk._model.catalog",
    "Explanation": "asyncsdk._rules.explain",
    "Names": "asyncsdk._model.catalog",
    "RudderStack": "asyncsdk.vendors.rudderstack",
}

__all__ = [
    # The client, and where it sends.
    "Amplitude",
    "Client",
    "Destination",
    "HttpSettings",
    "Limits",
    "RudderStack",
    "Rules",
    "SpoolLike",
    "Statsig",
    # What the rules say.
    "AllResults",
    "LookupResult",
    "Details",
    "DynamicConfig",
    "Experiment",
    "ExperimentGroup",
    "ExperimentGroups",
    "Explanation",
    "FeatureGate",
    "Flags",
    "Layer",
    "Names",
    "ParameterStore",
    # Who, and what happened.
    "Alias",
    "Event",
    "EventObject",
    "EventOptions",
    "Group",
    "Identify",
    "IdentifyEvent",
    "IngestionMetadata",
    "LogEvent",
    "Page",
    "Plan",
    "RawEvent",
    "Revenue",
    "Screen",
    "Track",
    "User",
    "UserLike",
    # What became of it.
    "AssignmentsHealth",
    "Delivery",
    "DestinationHealth",
    "DestinationReport",
    "EngineHealth",
    "OverridesHealth",
    "RequestInfo",
    "Health",
    "Receipt",
    "Report",
    "RulesHealth",
    "SpoolHealth",
    "RulesetChange",
    "StartReport",
    # In between.
    "Middleware",
    "Next",
    "Payload",
    "map_events",
    "redact",
    "sample",
    # What goes wrong.
    "AsyncSDKError",
    "ClientClosedError",
    "ConfigurationError",
    "ForkedProcessError",
    "InvalidEventError",
    "QueueFullError",
    "StartError",
    "TransactionError",
    "WrongEventLoopError",
    "__version__",
]


def _show_as_public(exported: object) -> None:
    """Let tracebacks and reprs show where a user imports a name from, not the private module that defines it."""
    if isinstance(exported, type | FunctionType):
        exported.__module__ = __name__


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    exported = globals()[name] = getattr(import_module(_LAZY[name]), name)
    _show_as_public(exported)
    return exported


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


for _name in {*__all__} - {*_LAZY}:
    _show_as_public(globals()[_name])
del _name
