"""A ruleset with one gate, served to the shops."""


def rules(*, is_open: bool) -> dict[str, object]:
    """Build a ruleset whose only gate, `open`, has this value for every user."""
    return {"has_updates": True, "feature_gates": {"open": {"enabled": True, "defaultValue": is_open, "rules": []}}}
