"""The rules of a fake client: plain dicts, turned into a ruleset that the evaluator reads.

`FakeRules.rules` is what lookups read. It compares the dicts, as JSON, with those of the ruleset that it built last: a
test may change them at any time and in any way, a nested value included.
"""

import random
import time
from collections import UserDict
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import orjson

from asyncsdk._model.validation import describe_type
from asyncsdk._refresh.unknown_names import UnknownNames
from asyncsdk._rules.language.country import Countries
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.loading import load_now
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk.errors import ConfigurationError
from asyncsdk.testing.rules_builder import RulesBuilder

_SECTIONS = ("feature_gates", "dynamic_configs", "layer_configs")
_IDS = (list, tuple, set, frozenset)


def _check_gate(name: str, value: object) -> None:
    is_list = isinstance(value, _IDS) and all(type(one) in (str, int) for one in value)
    if not isinstance(value, bool) and not is_list:
        msg = f"the gate {name!r} is True, False or a list of user ids, not {describe_type(value)}"
        raise ConfigurationError(msg)


def _check_parameters(name: str, value: object) -> None:
    if not isinstance(value, Mapping):
        msg = f"{name!r} is a mapping of parameters, not {describe_type(value)}"
        raise ConfigurationError(msg)
    try:
        orjson.dumps(value)
    except TypeError as error:
        msg = f"the parameters of {name!r} have no form in JSON: {error}"
        raise ConfigurationError(msg) from error


def _check_experiment(name: str, value: object) -> None:
    group = value[0] if isinstance(value, tuple) and len(value) == 2 else ""
    if not isinstance(group, str):
        msg = f"the group of {name!r} is a name, as in ('Test', {{...}}), not {describe_type(group)}"
        raise ConfigurationError(msg)
    _check_parameters(name, value[1] if group and isinstance(value, tuple) else value)


class Values(UserDict[str, Any]):
    """The values of one kind by name: a dict that refuses what cannot be a value when it is set."""

    def __init__(self, kind: str, values: Mapping[str, Any] | None) -> None:
        """Begin with the values that a test gave; None is none."""
        if values is not None and not isinstance(values, Mapping):
            msg = f"`{kind}` of a FakeClient is a mapping by name, not {describe_type(values)}"
            raise ConfigurationError(msg)
        self._check = _CHECKS[kind]
        super().__init__(values or {})

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str) or not name:
            msg = f"a name is text that is not empty, not {name!r}"
            raise ConfigurationError(msg)
        self._check(name, value)
        super().__setitem__(name, value)

    def __or__(self, other: Any) -> dict[str, Any]:  # type: ignore[override] # what a dict would return
        return {**self, **other}


_CHECKS: Mapping[str, Callable[[str, object], None]] = {
    "gates": _check_gate,
    "configs": _check_parameters,
    "experiments": _check_experiment,
    "layers": _check_parameters,
}


class FakeRules:
    """Holds the rules of a fake client, as `Refresher` does those of a real one.

    Attributes:
        values: The values by kind, which the test may change.
    """

    def __init__(
        self,
        values: Mapping[str, Values],
        base: Mapping[str, Any],
        environment: str | None,
        names: list[tuple[str, str]],
    ) -> None:
        """Begin with values on top of a ruleset.

        Args:
            values: The values by kind.
            base: The ruleset, as decoded JSON in the format v2; a value replaces its rules of the same name.
            environment: The tier of all users without one of their own; None for none.
            names: The list to which kind and name of unknown names are appended.
        """
        self.values = dict(values)
        self._base = base
        self._names = names
        self._log = UnknownNames("FakeClient")
        self._seen: bytes | None = None
        self._context = SharedContext(
            clock=lambda: time.time_ns() // 1_000_000,
            random=random.random,
            environment=None if environment is None else {"tier": environment},
            country=Countries().find,
            on_unknown=self._record_unknown,
        )
        self._rules = self._load()

    @property
    def rules(self) -> Ruleset:
        """The rules of the values as they are now."""
        if self._seen != self._fingerprint():
            self._rules = self._load()
        return self._rules

    def use_overrides(self, overrides: Overrides) -> None:
        """Apply these overrides to all later lookups."""
        self._context = attrs.evolve(self._context, overrides=overrides)
        self._rules = self._load()

    def _record_unknown(self, kind: str, name: str) -> None:
        self._names.append((kind, name))
        self._log.record(kind, name)

    def _fingerprint(self) -> bytes:
        try:
            return orjson.dumps({kind: dict(values) for kind, values in self.values.items()}, default=_sorted_ids)
        except TypeError as error:
            msg = f"a value of the FakeClient was changed to one without a form in JSON: {error}"
            raise ConfigurationError(msg) from error

    def _load(self) -> Ruleset:
        self._seen = self._fingerprint()
        body = orjson.dumps(build_ruleset(self.values, self._base))
        rules = load_now(body, self._context, source="Bootstrap", received_at_ms=self._context.clock())
        if rules is None:
            msg = 'the rules of a FakeClient say `"has_updates": false`: they have none'
            raise ConfigurationError(msg)
        return rules


def build_ruleset(values: Mapping[str, Values], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ruleset of plain values on top of another one.

    Args:
        values: The values by kind.
        base: The ruleset, as decoded JSON in the format v2; a value replaces its rules of the same name.
    """
    builder = RulesBuilder()
    for name, value in values["gates"].items():
        if isinstance(value, bool):
            builder.gate(name, value)
        else:
            builder.gate(name, users=value)
    for name, value in values["configs"].items():
        builder.config(name, value)
    for name, value in values["experiments"].items():
        group, parameters = value if isinstance(value, tuple) else ("Test", value)
        builder.experiment(name, {group: parameters})
    for name, value in values["layers"].items():
        builder.layer(name, value)
    mine = builder.build()
    return {**mine, **base, **{name: {**base.get(name, {}), **mine[name]} for name in (*_SECTIONS, "condition_map")}}


def as_values(given: Mapping[str, Any]) -> dict[str, Values]:
    """Return the values of each kind, empty for one that is not given.

    Raises:
        ConfigurationError: A value is not what `FakeClient` documents.
    """
    return {kind: Values(kind, given.get(kind)) for kind in _CHECKS}


def _sorted_ids(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    raise TypeError


def as_ruleset(rules: object) -> Mapping[str, Any]:
    """Return the ruleset of a `RulesBuilder`, or of JSON.

    Raises:
        ConfigurationError: It is neither, or has the older format (v1).
    """
    if rules is None:
        return {}
    if isinstance(rules, RulesBuilder):
        return rules.build()
    try:
        found = orjson.loads(rules) if isinstance(rules, bytes | str) else rules
    except orjson.JSONDecodeError as error:
        msg = f"`rules` of a FakeClient is not JSON: {error}"
        raise ConfigurationError(msg) from error
    if not isinstance(found, Mapping) or any(not isinstance(found.get(name, {}), Mapping) for name in _SECTIONS):
        msg = "`rules` of a FakeClient is a RulesBuilder, or a ruleset in Statsig's format v2, as JSON or decoded"
        raise ConfigurationError(msg)
    return found
