"""All results of a user in one call, without reporting exposures or changing sticky assignments."""

from collections.abc import Callable, Container
from typing import Any

from asyncsdk._model.catalog import AllResults
from asyncsdk._model.results import ParameterStore
from asyncsdk._model.users import User
from asyncsdk._rules import public_results as views
from asyncsdk._rules.bootstrap import Peek
from asyncsdk._rules.catalog import list_names
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.parameters import evaluate_parameter
from asyncsdk._rules.ruleset import Kind, Ruleset


def all_results(rules: Ruleset, user: User, peek: Peek | None) -> AllResults:
    """Evaluate all names of a ruleset for a user.

    Args:
        rules: The ruleset.
        user: The user.
        peek: Finds the user's sticky assignments; None if there are none.
    """
    names, bandits = list_names(rules), frozenset(rules.names("cmab_configs"))

    def find(rules: Ruleset, kind: Kind, user: User, name: str) -> Evaluation:
        live = rules.lookup(kind, user, name)
        if peek is None or kind == "gate" or kind == "config":  # noqa: PLR1714 -- mypy narrows `kind` by these
            return live
        return peek(rules, kind, user, live)

    def found(kind: Kind, *listed: str) -> dict[str, Evaluation]:
        return {name: find(rules, kind, user, name) for name in sorted({*listed})}

    gates = found("gate", *names.gates)
    configs = found("config", *names.configs, *(name for name in names.autotunes if name not in bandits))
    experiments = found("experiment", *names.experiments, *bandits)
    layers = found("layer", *names.layers)
    return AllResults(
        {name: views.gate(rules, one) for name, one in gates.items()},
        {name: views.config(rules, one) for name, one in configs.items()},
        {name: views.experiment(rules, one) for name, one in experiments.items()},
        {name: views.layer(rules, one, None) for name, one in layers.items()},
        {name: ParameterStore(name, _reader(rules, user, name, find)) for name in names.parameter_stores},
    )


def _reader(
    rules: Ruleset, user: User, store: str, find: Callable[[Ruleset, Kind, User, str], Evaluation]
) -> Callable[[str, Container[type]], Any]:
    """Return the function that reads a store's parameter without an exposure."""

    def read(name: str, kinds: Container[type]) -> Any:
        value = evaluate_parameter(rules, user, store, name, find).value
        return value if value.__class__ in kinds else None

    return read
