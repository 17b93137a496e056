"""The provider: what OpenFeature calls, and what it is told."""

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
    """Resolves flags by the client's rules, from any thread. Nothing waits, the `async` methods neither.

    It is READY as soon as there are rules. That others are in use is told as CONFIGURATION_CHANGED, with the names of
    gates, configs and experiments, and `layer:name` for layers. Without news from their source, rules are STALE after
    a while, and answer all the same. A key that is refused is an ERROR; a fatal one if there are no rules to go by.

    Args:
        client: Answers, and sends what is tracked. It is neither started nor closed here.
        stale_after: Seconds without an answer from the rules' source after which they are stale.

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
        self._seen_errors: set[type] = set()
        client.on_ruleset_change(self._rules_changed).on_rules_health(self._rules_asked)

    def get_metadata(self) -> Metadata:
        """Give the provider's name."""
        return Metadata(name="asyncsdk")

    # --- life -------------------------------------------------------------------------------------------------

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 -- OpenFeature's signature
        """Say at once whether flags can be resolved; if not, READY follows when rules arrive.

        Raises:
            ProviderNotReadyError: There are no rules yet.
            ProviderFatalError: There are none, because the key is refused.
        """
        fault = self._fault()
        self._has_rules = fault is None
        self._status = ProviderStatus.READY if fault is None else status_of(fault)
        if fault is not None:
            raise fault

    def _fault(self) -> OpenFeatureError | None:
        """Say why no flag can be resolved; None when there are rules."""
        health = self._client.health().rules
        return None if health is None else fault_of(health)

    def _rules_changed(self, change: RulesetChange) -> None:
        details = ProviderEventDetails(metadata={"source": change.source, "rulesetTime": change.time_ms})
        if not self._has_rules:
            self._has_rules = True
            self._tell(ProviderStatus.READY, details)
            return
        details.flags_changed = changed_names(change) or None
        self.emit_provider_configuration_changed(details)

    def _rules_asked(self, health: RulesHealth) -> None:
        status, details = judge(health, self._stale_after)
        details.metadata = {"source": health.source, "rulesetTime": health.time_ms}
        self._tell(status, details)

    def _tell(self, status: ProviderStatus, details: ProviderEventDetails) -> None:
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
        """Resolve a gate, or a parameter that is true or false."""
        return self._resolve(flag_key, default_value, evaluation_context, as_boolean, GATE_FIRST)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a parameter that is text."""
        return self._resolve(flag_key, default_value, evaluation_context, as_string)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve a parameter that is a whole number; 10.0 is one."""
        return self._resolve(flag_key, default_value, evaluation_context, as_integer)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve a parameter that is a number, unless it is whole and no float is equal to it."""
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
        reason = Reason.STALE if is_outdated else _REASONS[found.answer.details.cause]
        if value is None:
            return FlagResolutionDetails(default, reason=reason, flag_metadata=found.metadata())
        return FlagResolutionDetails(value, reason=reason, variant=found.variant, flag_metadata=found.metadata())

    def _failed(self, default: T, error: OpenFeatureError) -> FlagResolutionDetails[T]:
        """Give the default, and say why; that there are no rules is why there is no flag."""
        fault = self._fault() if isinstance(error, FlagNotFoundError) else None
        told = fault or error
        return FlagResolutionDetails(default, told.error_code, told.error_message, Reason.ERROR)

    # --- events -----------------------------------------------------------------------------------------------

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Track an event at all the client's destinations; the details' value is its property `value`.

        It never raises, as the specification wants it: what cannot be taken is logged, once for each kind of error.
        """
        details = tracking_event_details or TrackingEventDetails()
        value = {} if details.value is None else {"value": details.value}
        try:
            user = user_of(evaluation_context)
            self._client.put_nowait(Track(user, tracking_event_name, {**details.attributes, **value}))
        except (AsyncSDKError, OpenFeatureError) as error:
            if type(error) not in self._seen_errors:
                self._seen_errors.add(type(error))
                told = error.error_message if isinstance(error, OpenFeatureError) else error
                logger.warning("an event is not tracked (logged once for each kind of error): %s", told)
