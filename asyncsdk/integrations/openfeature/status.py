"""Convert the health of the rules to OpenFeature's statuses, errors and event details."""

from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, OpenFeatureError, ProviderFatalError, ProviderNotReadyError
from openfeature.provider import ProviderStatus

from asyncsdk import RulesetChange, RulesHealth


def fault_of(health: RulesHealth) -> OpenFeatureError | None:
    """Return why no flag can be resolved; None if there are rules."""
    if health.age is not None:
        return None
    if health.refused:
        return ProviderFatalError(f"the key is rejected ({health.last_error}), and there are no rules")
    return ProviderNotReadyError(f"there are no rules yet ({health.last_error or 'is the client started?'})")


def status_of(fault: OpenFeatureError) -> ProviderStatus:
    """Return the status of a provider without rules."""
    return ProviderStatus.FATAL if fault.error_code is ErrorCode.PROVIDER_FATAL else ProviderStatus.ERROR


def judge(health: RulesHealth, stale_after: float) -> tuple[ProviderStatus, ProviderEventDetails]:
    """Return the status of a provider after an attempt to get rules, and the details of its event.

    Args:
        health: The health of the rules after the attempt.
        stale_after: Seconds without a reply from their source after which rules are stale.
    """
    # 1. There are no rules.
    fault = fault_of(health)
    if fault is not None:
        return status_of(fault), ProviderEventDetails(message=fault.error_message, error_code=fault.error_code)
    # 2. There are rules, but the key is rejected by now.
    if health.refused:
        message = f"the key is rejected ({health.last_error}); the previous rules are still in use"
        return ProviderStatus.ERROR, ProviderEventDetails(message=message, error_code=ErrorCode.GENERAL)
    # 3. The source has not replied for too long; rules that never had a reply count from when they were loaded.
    silence = health.last_sync if health.last_sync is not None else health.age
    if silence is not None and silence > stale_after:
        message = f"the source of rules has not replied for {silence:.0f} s: {health.last_error}"
        return ProviderStatus.STALE, ProviderEventDetails(message=message)
    # 4. All is well.
    return ProviderStatus.READY, ProviderEventDetails()


def changed_names(change: RulesetChange) -> list[str]:
    """Return the names of added, changed and removed gates, configs, experiments and layers, as flag keys."""
    return [
        f"layer:{name}" if kind == "layer" else name
        for names in (change.added, change.changed, change.removed)
        for kind, found in names.items()
        for name in found
    ]
