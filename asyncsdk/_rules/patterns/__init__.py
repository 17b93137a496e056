"""Regular expressions of rules, matched in bounded time, as in Statsig's package; start reading at `matcher.py`."""
