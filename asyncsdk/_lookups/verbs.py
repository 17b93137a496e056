"""The lookup verbs, awaited. They wait for the first ruleset while the client starts, and for nothing else."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

import orjson

from asyncsdk._lookups.evaluator import Lookups, RulesHolder, as_user_or_empty, show_gate
from asyncsdk._lookups.exposures import Exposures
from asyncsdk._lookups.flags import Flags
from asyncsdk._model.events import Event
from asyncsdk._model.receipts import Receipt
from asyncsdk._model.results import DynamicConfig, Experiment, FeatureGate, Layer, ParameterStore
from asyncsdk._model.users import User, UserLike
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.compiler.evaluate import evaluate
from asyncsdk._rules.explain import Explanation
from asyncsdk._rules.language.overrides import GroupOverride, Overrides
from asyncsdk._version import __version__
from asyncsdk.errors import ConfigurationError


class LookupVerbs:
    """What the rules say to a user. `user` is a `User`, or an id.

    A lookup never raises. Where nothing can be said (an unknown name, no ruleset, a fault) it answers the fallback, and
    the detailed results say why. All of them take `exposure=False`, which reports nothing.
    """

    _exposures: Exposures
    _holder: RulesHolder
    _lookups: Lookups
    # Whether lookups are answered straight from the current rules: the client does not wait for its first ones, and no
    # function watches evaluations.
    _is_direct: bool

    async def _first_rules(self) -> None:
        raise NotImplementedError

    def put_nowait(self, event: Event) -> Receipt:
        """Take an event without waiting."""
        raise NotImplementedError

    async def check_gate(self, user: UserLike, name: str, *, exposure: bool = True) -> bool:
        """Say whether a gate is open for a user; False for an unknown one."""
        if not self._is_direct:
            return (await self.get_gate(user, name, exposure=exposure)).value
        rules = self._holder.rules
        who = user if type(user) is User else as_user_or_empty(user)
        found = evaluate(rules.gates.get(name) or rules.find("gate", name), who)
        if exposure and self._exposures.is_due(who, found):
            self._exposures.report(rules, who, found, None)
        return found.value  # type: ignore[no-any-return] # a gate's value is a bool

    async def get_gate(self, user: UserLike, name: str, *, exposure: bool = True) -> FeatureGate:
        """Give a gate's answer with its reasons."""
        if not self._is_direct:
            await self._first_rules()
        rules = self._holder.rules
        return show_gate(rules, self._lookups.gate(rules, as_user_or_empty(user), name, exposure))

    async def get_config(self, user: UserLike, name: str, *, exposure: bool = True) -> DynamicConfig:
        """Give a dynamic config's answer; an unknown one is empty."""
        if not self._is_direct:
            await self._first_rules()
        rules = self._holder.rules
        who = user if type(user) is User else as_user_or_empty(user)
        return self._lookups.config(rules, who, name, exposure)

    async def get_experiment(self, user: UserLike, name: str, *, exposure: bool = True) -> Experiment:
        """Give an experiment's answer; an unknown one is empty."""
        if not self._is_direct:
            await self._first_rules()
        rules = self._holder.rules
        who = user if type(user) is User else as_user_or_empty(user)
        return self._lookups.experiment(rules, who, name, exposure)

    async def get_layer(self, user: UserLike, name: str, *, exposure: bool = True) -> Layer:
        """Give a layer's answer; reading a parameter of it reports that."""
        if not self._is_direct:
            await self._first_rules()
        rules = self._holder.rules
        who = user if type(user) is User else as_user_or_empty(user)
        return self._lookups.layer(rules, who, name, exposure)

    async def get_parameter_store(self, user: UserLike, name: str, *, exposure: bool = True) -> ParameterStore:
        """Give a parameter store; reading a parameter reports what it stands for."""
        if not self._is_direct:
            await self._first_rules()
        rules = self._holder.rules
        return self._lookups.store(rules, as_user_or_empty(user), name, exposure)

    async def load_assignments(self, user: UserLike) -> bool:
        """Load which groups of experiments a user was given, so that the lookups that follow keep to them.

        Those of all the user's ids are loaded (`user_id` and `custom_ids`), from the store that
        `Rules(assignments=...)` names. Lookups of users who were not loaded are not sticky, and change nothing. The
        latest 10,000 units stay loaded.

        Returns:
            False when it is not known: the store failed, or took longer than a second, or there is none.

        Raises:
            WrongEventLoopError: The client runs on another loop.
            ForkedProcessError: It was started in the parent of this process.
        """
        assignments = self._lookups.assignments
        return assignments is not None and await assignments.load(as_user_or_empty(user))

    def bind(self, user: UserLike) -> Flags:
        """Tie a user to the rules of this moment, for a request: lookups without `await`, evaluated once."""
        who = user if type(user) is User else as_user_or_empty(user)
        return Flags(who, self._holder.rules, self._lookups, self.put_nowait)

    def explain(self, user: UserLike, name: str) -> Explanation:
        """Show how the rules come to their answer, as a tree with bucket numbers; `.render()` gives text."""
        return self._lookups.explain(self._holder.rules, as_user_or_empty(user), name)

    def log_exposure(self, user: UserLike, name: str, parameter: str | None = None) -> None:
        """Report that a user saw a gate, config, experiment, or `parameter` of a layer, after an `exposure=False`."""
        self._lookups.log_exposure(self._holder.rules, as_user_or_empty(user), name, parameter)

    def bootstrap(
        self,
        user: UserLike,
        *,
        hash: Literal["djb2", "sha256", "none"] = "djb2",  # noqa: A002 -- the vendor's word
        client_key: str | None = None,
    ) -> bytes:
        """Write what Statsig's browser and mobile SDKs start from: the client-initialize response, as JSON.

        The first call for a hash and key compiles every name, half a millisecond each: make one before requests come.
        Rules that come later are prepared for the same calls, in slices.

        Args:
            user: For whom.
            hash: How names are hashed.
            client_key: The client's SDK key, where the project shows each app its own rules.
        """
        rules = self._holder.rules
        view = client_view(rules, hash=hash, client_key=client_key)
        return client_response(view, as_user_or_empty(user), {"sdkType": "asyncsdk", "sdkVersion": __version__})

    def override_gate(self, name: str, value: bool, *, user_id: str | None = None) -> Self:  # noqa: FBT001 -- its value
        """Answer `value` for a gate, whatever the rules say, for one user or custom id, or for everybody."""
        return self._override(lambda overrides: overrides.set("gate", name, bool(value), user_id))

    def override_config(self, name: str, value: Mapping[str, Any], *, user_id: str | None = None) -> Self:
        """Answer `value` for a dynamic config."""
        return self._override(lambda overrides: overrides.set("config", name, _copied(value), user_id))

    def override_experiment(self, name: str, value: Mapping[str, Any] | str, *, user_id: str | None = None) -> Self:
        """Answer `value` for an experiment: an object, or the name of one of its groups."""
        given = GroupOverride(value) if isinstance(value, str) else _copied(value)
        return self._override(lambda overrides: overrides.set("experiment", name, given, user_id))

    def override_layer(self, name: str, value: Mapping[str, Any], *, user_id: str | None = None) -> Self:
        """Answer `value` for a layer."""
        return self._override(lambda overrides: overrides.set("layer", name, _copied(value), user_id))

    def remove_override(self, name: str, *, user_id: str | None = None) -> Self:
        """Take the overrides of a name back: one user's, or all."""

        def removed(overrides: Overrides) -> Overrides:
            for kind in ("gate", "config", "experiment", "layer"):
                overrides = overrides.remove(kind, name, user_id)
            return overrides

        return self._override(removed)

    def remove_all_overrides(self) -> Self:
        """Take all overrides back."""
        return self._override(lambda _: Overrides())

    def _override(self, change: Callable[[Overrides], Overrides]) -> Self:
        self._holder.use_overrides(change(self._holder.rules.shared_context.overrides))
        return self


def _copied(value: Mapping[str, Any]) -> dict[str, Any]:
    """Copy an override's value: what the caller does to it later does not count.

    Raises:
        ConfigurationError: It is no object of JSON.
    """
    try:
        copied: dict[str, Any] = orjson.loads(orjson.dumps(dict(value)))
    except (TypeError, ValueError) as error:
        msg = "an override's value is an object that can be written as JSON"
        raise ConfigurationError(msg) from error
    return copied
