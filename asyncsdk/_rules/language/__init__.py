"""The ruleset language: specs, conditions, operators, and the values that they compare."""
