"""What a vendor's answer says about the rules: how many, how large, how old. Pure."""

from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.language.specs import MalformedError
from asyncsdk._rules.loading import load_now
from asyncsdk.cli.doctor.findings import Finding
from asyncsdk.vendors._base import Response

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def check_rules(check: str, response: Response, now: float) -> Finding:
    """Return what the rules are.

    Args:
        check: What was asked.
        response: A successful answer.
        now: The time, in seconds since 1970.
    """
    advice = "Check that the address serves the rules of Statsig's server SDKs (/v2/download_config_specs)."
    try:
        rules = load_now(response.body, SharedContext(clock=int, random=float))
    except MalformedError as error:
        return Finding("failure", check, f"not a ruleset: {error}", advice)
    if rules is None:
        return Finding("failure", check, "the answer has no rules (has_updates is false)", advice)
    names = sum(len(rules.sections.get(name, ())) for name in ("feature_gates", "dynamic_configs", "layer_configs"))
    size = f"{len(response.body) / 1000:,.1f} kB"
    if not names:
        advice = "Check that the key is of the right project: this one has no gate, config, experiment or layer."
        return Finding("warning", check, f"the key is accepted, and the rules are empty ({size})", advice)
    age = f", changed {_ago(now - rules.time_ms / 1000)}" if rules.time_ms else ""
    return Finding("ok", check, f"{names:,} gates, configs, experiments and layers, {size}{age}")


def _ago(seconds: float) -> str:
    """Return an age in its largest unit."""
    for size, unit in _UNITS:
        if (count := int(seconds // size)) > 0:
            return f"{count:,} {unit}{'s' if count > 1 else ''} ago"
    return "now"
