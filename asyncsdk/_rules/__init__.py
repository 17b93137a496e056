"""Statsig's ruleset language: JSON in, answers out. Pure: no clock, no IO, no tasks.

A ruleset body becomes a `Ruleset` (`ruleset.py`); a name of it becomes a function on first use (`compile.py`);
that function turns a user into an `Evaluation` (`evaluate.py`). What the language means was checked against
statsig-python-core 0.24.0; where asyncsdk differs on purpose, the tests list it in `tests/rules/known_differences.py`.
"""
