"""How the rules are doing, in OpenFeature's words."""

from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, OpenFeatureError, ProviderFatalError, ProviderNotReadyError
from openfeature.provider import ProviderStatus

from asyncsdk import RulesetChange, RulesHealth


def fault_of(health: RulesHealth) -> OpenFeatureError | None:
    """Say why no flag can be resolved; None when there are rules."""
    if health.age is not None:
        return None
    if health.refused:
        return ProviderFatalError(f"the key is refused ({health.last_error}), and there are no rules")
    return ProviderNotReadyError(f"there are no rules yet ({health.last_error or 'is the client started?'})")


def status_of(fault: OpenFeatureError) -> ProviderStatus:
    """Say what state a provider without rules is in."""
    return ProviderStatus.FATAL if fault.error_code is ErrorCode.PROVIDER_FATAL else ProviderStatus.ERROR


def judge(health: RulesHealth, stale_after: float) -> tuple[ProviderStatus, ProviderEventDetails]:
    """Say what state a provider is in after its rules were asked for, and why."""
    fault = fault_of(health)
    if fault is not None:
        return status_of(fault), ProviderEventDetails(message=fault.error_message, error_code=fault.error_code)
    if health.refused:
        message = f"the key is refused ({health.last_error}); the rules from before still answer"
        return ProviderStatus.ERROR, ProviderEventDetails(message=message, error_code=ErrorCode.GENERAL)
    silence = health.last_sync if health.last_sync is not None else health.age
    if silence is not None and silence > stale_after:
        message = f"no news of the rules for {silence:.0f} s: {health.last_error}"
        return ProviderStatus.STALE, ProviderEventDetails(message=message)
    return ProviderStatus.READY, ProviderEventDetails()


def changed_names(change: RulesetChange) -> list[str]:
    """Give the names of what is new, different or gone."""
    return [
        f"layer:{name}" if kind == "layer" else name
        for names in (change.added, change.changed, change.removed)
        for kind, found in names.items()
        for name in found
    ]
