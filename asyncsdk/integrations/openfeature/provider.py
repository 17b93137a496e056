"""The provider: the methods that OpenFeature calls, and the events that it emits.

The provider's status follows the client's rules, by two hooks that run on the client's event loop:

| cause | status | event |
|---|---|---|
| the first rules (`_on_ruleset_change`) | READY | PROVIDER_READY |
| other rules (`_on_ruleset_change`) | unchanged | PROVIDER_CONFIGURATION_CHANGED |
| any attempt to get rules (`_on_rules_health`) | see `status.judge` | that of the status, if it changes |

Flags are resolved in any thread: a lookup reads one immutable ruleset and takes no lock.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import FlagNotFoundError, OpenFeatureError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata, ProviderStatus
from openfeature.track import TrackingEventDetails

from asyncsdk import AsyncSDKError, Client, ConfigurationError, RulesetChange, RulesHealth, Track
from asyncsdk.integrations.openfeature.context import user_of
from asyncsdk.integrations.openfeature.keys import (
    GATE_FIRST,
    GATE_LAST,
    Structure,
    as_boolean,
    as_float,
    as_integer,
    as_string,
    as_structure,
    find,
)
from asyncsdk.integrations.openfeature.status import changed_names, fault_of, judge, status_of

logger = logging.getLogger("asyncsdk.openfeature")

T = TypeVar("T")

_REASONS = {
    "static": Reason.STATIC,
    "targeting_match": Reason.TARGETING_MATCH,
    "split": Reason.SPLIT,
    "default": Reason.DEFAULT,
    "disabled": Reason.DISABLED,
}
_EVENTS = {
    ProviderStatus.READY: ProviderEvent.PROVIDER_READY,
    ProviderStatus.STALE: ProviderEvent.PROVIDER_STALE,
    ProviderStatus.ERROR: ProviderEvent.PROVIDER_ERROR,
    ProviderStatus.FATAL: ProviderEvent.PROVIDER_ERROR,
}


class AsyncSDKProvider(AbstractProvider):
    """An OpenFeature provider that resolves flags by the client's rules, in any thread. No method waits for I/O.

    The provider is READY as soon as there are rules. When they change, it emits PROVIDER_CONFIGURATION_CHANGED with the
    names of gates, configs and experiments, and `layer:name` for layers. It is STALE if the source of rules has not
    replied for `stale_after` seconds; flags are still resolved. A rejected key is an ERROR, and FATAL without rules.

    Args:
        client: The client that evaluates flags and sends tracked events. The provider neither starts nor closes it.
        stale_after: Seconds without a reply from the source of rules after which they are stale.

    Raises:
        ConfigurationError: The client has no source of rules.
    """

    def __init__(self, client: Client, *, stale_after: float = 60.0) -> None:
        super().__init__()
        if client.health().rules is None:
            msg = "a provider needs a client with rules: Client(Statsig(...))"
            raise ConfigurationError(msg)
        self._client = client
        self._stale_after = stale_after
        self._has_rules = False
        self._status = ProviderStatus.NOT_READY
        self._logged_errors: set[type] = set()
        client.on_ruleset_change(self._on_ruleset_change).on_rules_health(self._on_rules_health)

    def get_metadata(self) -> Metadata:
        """Return the provider's name, `asyncsdk`."""
        return Metadata(name="asyncsdk")

    # --- status -----------------------------------------------------------------------------------------------

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 -- OpenFeature's signature
        """Set the initial status without waiting. If there are no rules, PROVIDER_READY follows when they arrive.

        Args:
            evaluation_context: The global context, which is not used.

        Raises:
            ProviderNotReadyError: There are no rules yet.
            ProviderFatalError: There are no rules, because the key is rejected.
        """
        fault = self._fault()
        self._has_rules = fault is None
        self._status = ProviderStatus.READY if fault is None else status_of(fault)
        if fault is not None:
            raise fault

    def _fault(self) -> OpenFeatureError | None:
        """Return why no flag can be resolved; None if there are rules."""
        health = self._client.health().rules
        return None if health is None else fault_of(health)

    def _on_ruleset_change(self, change: RulesetChange) -> None:
        details = ProviderEventDetails(metadata={"source": change.source, "rulesetTime": change.time_ms})
        if not self._has_rules:
            self._has_rules = True
            self._set_status(ProviderStatus.READY, details)
            return
        details.flags_changed = changed_names(change) or None
        self.emit_provider_configuration_changed(details)

    def _on_rules_health(self, health: RulesHealth) -> None:
        status, details = judge(health, self._stale_after)
        details.metadata = {"source": health.source, "rulesetTime": health.time_ms}
        self._set_status(status, details)

    def _set_status(self, status: ProviderStatus, details: ProviderEventDetails) -> None:
        if status is not self._status:
            self._status = status
            self.emit(_EVENTS[status], details)

    # --- flags ------------------------------------------------------------------------------------------------

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 -- OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Resolve a gate, or a boolean parameter."""
        return self._resolve(flag_key, default_value, evaluation_context, as_boolean, GATE_FIRST)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a string parameter."""
        return self._resolve(flag_key, default_value, evaluation_context, as_string)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve an integer parameter; 10.0 is one."""
        return self._resolve(flag_key, default_value, evaluation_context, as_integer)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve a number parameter, except an integer that no float is equal to."""
        return self._resolve(flag_key, default_value, evaluation_context, as_float)

    def resolve_object_details(
        self, flag_key: str, default_value: Structure, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Structure]:
        """Resolve a whole config, experiment or layer, or a parameter that is an object or a list."""
        return self._resolve(flag_key, default_value, evaluation_context, as_structure)

    def _resolve(
        self,
        key: str,
        default: T,
        context: EvaluationContext | None,
        accept: Callable[[Any], T | None],
        kinds: Sequence[str] = GATE_LAST,
    ) -> FlagResolutionDetails[T]:
        try:
            user = user_of(context)
            found = find(self._client.bind(user), key, kinds)
            found.check(user)
            value = found.converted(accept)
        except OpenFeatureError as error:
            return self._failed(default, error)
        is_outdated = self._status in (ProviderStatus.STALE, ProviderStatus.ERROR)
        reason = Reason.STALE if is_outdated else _REASONS[found.result.details.cause]
        if value is None:
            return FlagResolutionDetails(default, reason=reason, flag_metadata=found.metadata())
        return FlagResolutionDetails(value, reason=reason, variant=found.variant, flag_metadata=found.metadata())

    def _failed(self, default: T, error: OpenFeatureError) -> FlagResolutionDetails[T]:
        """Return the default with the error. Without rules every flag is missing, so the lack of rules is the error."""
        fault = self._fault() if isinstance(error, FlagNotFoundError) else None
        cause = fault or error
        return FlagResolutionDetails(default, cause.error_code, cause.error_message, Reason.ERROR)

    # --- events -----------------------------------------------------------------------------------------------

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Track an event at all the client's destinations.

        It does not raise, as the specification requires: an event that cannot be tracked is logged as a warning, once
        per type of error.

        Args:
            tracking_event_name: Name of the event.
            evaluation_context: The user; None is a user without fields, for whom an event cannot be tracked.
            tracking_event_details: Properties of the event; its `value` becomes the property `value`.
        """
        details = tracking_event_details or TrackingEventDetails()
        value = {} if details.value is None else {"value": details.value}
        try:
            user = user_of(evaluation_context)
            self._client.put_nowait(Track(user, tracking_event_name, {**details.attributes, **value}))
        except (AsyncSDKError, OpenFeatureError) as error:
            if type(error) not in self._logged_errors:
                self._logged_errors.add(type(error))
                reason = error.error_message if isinstance(error, OpenFeatureError) else error
                logger.warning("event not tracked (logged once per type of error): %s", reason)
