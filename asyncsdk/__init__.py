"""The asyncio-native SDK for feature gates and product events."""

from types import FunctionType

from asyncsdk._client.client import Client
from asyncsdk._delivery.spool.setting import SpoolLike
from asyncsdk._events.builtin import redact, sample
from asyncsdk._events.middleware import Middleware, Next, Payload, map_events
from asyncsdk._lookups.flags import Flags
from asyncsdk._model.amplitude import Identify, IngestionMetadata, Plan, Revenue
from asyncsdk._model.catalog import AllResults, ExperimentGroup, ExperimentGroups, Names
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
    Report,
    RequestInfo,
    RulesetChange,
    RulesHealth,
    SpoolHealth,
    StartReport,
)
from asyncsdk._model.results import Details, DynamicConfig, Experiment, FeatureGate, Layer, LookupResult, ParameterStore
from asyncsdk._model.users import User, UserLike
from asyncsdk._rules.explain import Explanation
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
from asyncsdk.vendors.amplitude import Amplitude
from asyncsdk.vendors.rudderstack import RudderStack
from asyncsdk.vendors.statsig import Rules, Statsig

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

# Tracebacks and reprs show where a user imports a name from, not the private module that defines it.
for _name in __all__:
    _exported = globals()[_name]
    if isinstance(_exported, type | FunctionType):
        _exported.__module__ = __name__
del _name, _exported
