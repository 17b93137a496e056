"""Regular expressions of rules, as Statsig's package reads them, in bounded time: `matcher.py` is the way in."""
