"""Statsig's ruleset language: JSON in, evaluations out. Pure: no clock, no I/O, no tasks.

A ruleset body becomes a `Ruleset` (`loading.py`, `ruleset.py`). A name of it becomes a program on first use
(`compiler/program.py`). The program turns a user into an `Evaluation` (`compiler/evaluate.py`). The semantics were
checked against statsig-python-core 0.24.2; intended differences are listed in `tests/rules/known_differences.py`.
"""
