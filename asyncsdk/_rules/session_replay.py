"""Session recording settings of a client-initialize response."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from asyncsdk._model.users import User
from asyncsdk._rules.language.values import as_object
from asyncsdk._rules.ruleset import Ruleset

# The settings that Statsig's SDKs know; a project may have others, which stay on the server.
_PRIVACY_SETTINGS = ("privacy_mode", "unmasked_elements", "masked_elements", "blocked_elements")


def session_replay_fields(rules: Ruleset, user: User, hash_name: Callable[[str], str]) -> dict[str, Any]:
    """Return the fields about session recording of a client-initialize response; empty if the project has none.

    Args:
        rules: The ruleset; its random number decides what is sampled.
        user: The user, for the targeting gate.
        hash_name: Hashes the names of gates and experiments that trigger a recording.
    """
    info = as_object(rules.facts.get("session_replay_info"))
    if info is None:
        return {}
    rate, blocked, gate = info.get("sampling_rate"), info.get("recording_blocked"), info.get("targeting_gate")
    passes = rules.gate(user, gate).value is True if isinstance(gate, str) else None
    drawn = rules.shared_context.random()
    is_drawn = not isinstance(rate, (int, float)) or drawn <= rate
    fields: dict[str, Any] = {"can_record_session": not blocked and passes is not False and is_drawn}
    if rate is not None:
        fields["session_recording_rate"] = rate
    if blocked is not None:
        fields["recording_blocked"] = blocked
    if passes is not None:
        fields["passes_session_recording_targeting"] = passes
    for name in ("session_recording_event_triggers", "session_recording_exposure_triggers"):
        triggers = as_object(info.get(name))
        if triggers is not None:
            # Keys of exposure triggers are names of specs; those of event triggers are names of the app's own events.
            rename = hash_name if "exposure" in name else str
            fields[name] = {rename(key): _trigger_fields(value, drawn) for key, value in triggers.items()}
    privacy = as_object(info.get("session_recording_privacy_settings"))
    if privacy is not None:
        fields["session_recording_privacy_settings"] = _set_fields(privacy, _PRIVACY_SETTINGS)
    return fields


def _trigger_fields(trigger: Any, drawn: float) -> dict[str, Any]:
    settings = as_object(trigger) or {}
    fields, rate = _set_fields(settings, ("values",)), settings.get("sampling_rate")
    if isinstance(rate, (int, float)):
        fields["passes_sampling"] = drawn <= rate
    return fields


def _set_fields(settings: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name in names if (value := settings.get(name)) is not None}
