"""A spec's rules as Python source.

Generated source answers twice as fast as closures and eight times as fast as walking parsed rules. For a gate with
one rule it reads:

    def decide(u, d, m):
        # rule 1
        if d >= 64: raise TooDeep
        n0 = G0(u, d + 1, m)
        if n0.value and T3((u.email or F1(u)), V2):
            return R4[n0,]
        return R5[n0,]

`u` is the user, `d` the level, `m` the memory of a heavy evaluation. Constants are globals of the function (reading
one is free): G run nested gates, F fetch values, T and V are tests and their targets, B are buckets and P what they are
compared with, R results. Nothing else tells two specs of one form apart, so that they share their code. All conditions
of a rule are pure but for the nested ones, which leave exposures and therefore always run.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

import attrs

from asyncsdk._rules.compiler.evaluate import MAX_LEVELS, Run, TooDeepError, UnsupportedError

_BUCKET = re.compile(r"\bB[0-9]+\(u\)")
_VALUE = re.compile(r"\(u\.[a-z_]+ or F[0-9]+\(u\)\)|\bF[0-9]+\(u\)")


@attrs.define(eq=False, repr=False)
class ConditionCode:
    """One condition of a rule, ready to be written.

    Attributes:
        template: An expression; `{0}`, `{1}`... stand for `constants`.
        constants: Values that the expression uses, each with the letter its name begins with.
        price: Cheap tests run first.
    """

    template: str
    constants: Sequence[tuple[str, Any]] = ()
    price: int = 1


@attrs.define(eq=False, repr=False)
class NestedCode:
    """A gate or experiment that a condition looks at; the same key is evaluated once.

    Attributes:
        key: Kind and name.
        run: Evaluates it.
        template: The test of its evaluation, `{0}`, with `constants` from `{1}` on.
    """

    key: tuple[str, str]
    run: Run
    template: str = ""
    constants: Sequence[tuple[str, Any]] = ()


ResultFactory = Callable[[bool], Any]
"""Makes a result: told whether nested evaluations decide about it too, and then gives a mapping from those."""


@attrs.define(eq=False, repr=False)
class RuleCode:
    """One rule, ready to be written.

    Attributes:
        steps: Its conditions in order; None is one that nobody knows.
        passed: Result of a user who passes.
        failed: Result of a user whom the percentage leaves out.
        bucket: Gives the user's bucket of 10,000; None where everybody passes.
        threshold: Buckets below it pass.
        delegate: The experiment that decides instead.
    """

    steps: Sequence[ConditionCode | NestedCode | None]
    passed: ResultFactory
    failed: ResultFactory
    bucket: Callable[..., int] | None = None
    threshold: float = 0
    delegate: NestedCode | None = None


@attrs.define(eq=False, repr=False)
class _Writer:
    """Source under way, with the constants it uses."""

    lines: list[str]
    constants: dict[str, Any]
    nested: dict[tuple[str, str], str] = attrs.Factory(dict)
    _names: dict[int, str] = attrs.Factory(dict)

    def name(self, letter: str, value: Any) -> str:
        """Give a constant a name; one constant has one name."""
        known = self._names.get(id(value))
        if known is None:
            known = self._names[id(value)] = f"{letter}{len(self._names)}"
            self.constants[known] = value
        return known

    def call(self, nested: NestedCode, indent: str) -> str:
        """Write a nested evaluation, with the check of its level before the first."""
        if not self.nested:
            self.lines.append(f"{indent}if d >= {MAX_LEVELS}: raise TooDeep")
        return f"{self.name('G', nested.run)}(u, d + 1, m)"

    def look_at(self, nested: NestedCode) -> str:
        """Evaluate a nested gate unless that was done; gives its variable."""
        variable = self.nested.get(nested.key)
        if variable is None:
            call = self.call(nested, "    ")
            variable = self.nested[nested.key] = f"n{len(self.nested)}"
            self.lines.append(f"    {variable} = {call}")
        return variable

    def result(self, make: ResultFactory, delegate: str | None = None) -> str:
        """Write a result."""
        keys = [*self.nested.values()] if delegate is None else [delegate, *self.nested.values()]
        name = self.name("R", make(bool(keys)))
        return f"{name}[{', '.join(keys)},]" if keys else name


def generate(branches: Sequence[RuleCode], default: ResultFactory, *, heavy: bool) -> tuple[str, dict[str, Any]]:
    """Write the source of a spec, and the constants that it runs with.

    Args:
        branches: Its rules.
        default: Makes the result where no rule matches.
        heavy: The evaluation must remember what it looked at.
    """
    writer = _Writer(["def decide(u, d, m):"], {"TooDeep": TooDeepError, "Unsupported": UnsupportedError})
    if heavy:
        writer.lines.append("    if m is None: m = {}")
    for number, branch in enumerate(branches, 1):
        writer.lines.append(f"    # rule {number}")
        if _write_branch(writer, branch):
            break
    else:
        writer.lines.append(f"    return {writer.result(default)}")
    return _hash_once("\n".join(_fetch_once(writer.lines)) + "\n"), writer.constants


def _fetch_once(lines: list[str]) -> list[str]:
    """Keep a value that several conditions look at in a variable, from the first rule on that does."""
    uses = Counter(value for line in lines for value in _VALUE.findall(line))
    for value in (value for value, count in uses.items() if count > 1):
        variable = f"v{len(lines)}"
        first = next(place for place, line in enumerate(lines) if value in line)
        lines = [line.replace(value, variable) for line in lines]
        lines.insert(first, f"    {variable} = {value}")
    return lines


def _hash_once(source: str) -> str:
    """Keep a bucket that several rules ask for in a variable; bucket 0 is worked out again, which is rare."""
    calls = Counter(_BUCKET.findall(source))
    for call in (call for call, uses in calls.items() if uses > 1):
        variable = call[:-3].lower()
        source = source.replace(call, f"({variable} or ({variable} := {call}))")
        source = source.replace("m):\n", f"m):\n    {variable} = 0\n", 1)
    return source


def _write_branch(writer: _Writer, branch: RuleCode) -> bool:
    """Write one rule; says whether it is the last one that can be reached."""
    tests: list[tuple[int, str]] = []
    for step in branch.steps:
        if step is None:
            writer.lines.append("    raise Unsupported")
            return True
        if isinstance(step, NestedCode):
            names = [writer.look_at(step), *(writer.name(letter, value) for letter, value in step.constants)]
            tests.append((0, step.template.format(*names)))
        else:
            names = [writer.name(letter, value) for letter, value in step.constants]
            tests.append((step.price, step.template.format(*names)))
    indent = "    "
    if tests:
        writer.lines.append(f"    if {' and '.join(test for _, test in sorted(tests))}:")
        indent = "        "
    _write_ending(writer, branch, indent)
    return not tests


def _write_ending(writer: _Writer, branch: RuleCode, indent: str) -> None:
    """Write what a rule answers once its conditions hold."""
    if branch.delegate is not None:
        ending = writer.result(branch.passed, writer.call(branch.delegate, indent))
    elif branch.bucket is None:
        ending = writer.result(branch.passed if branch.threshold > 0 else branch.failed)
    else:
        passes = f"{writer.name('B', branch.bucket)}(u) < {writer.name('P', int_if_whole(branch.threshold))}"
        ending = f"{writer.result(branch.passed)} if {passes} else {writer.result(branch.failed)}"
    writer.lines.append(f"{indent}return {ending}")


def int_if_whole(amount: float) -> float:
    """Give a number that buckets are compared with: a whole one as an int, which compares faster."""
    return int(amount) if float(amount).is_integer() else amount


def compile_source(source: str, constants: dict[str, Any]) -> Run:
    """Turn source into a function whose globals are the constants."""
    exec(_code(source), constants)  # noqa: S102 -- no text of a ruleset is in the source
    run: Run = constants.pop("decide")
    return run


@lru_cache(1_000)
def _code(source: str) -> CodeType:
    return compile(source, "<rules>", "exec", dont_inherit=True)
