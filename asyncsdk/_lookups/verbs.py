"""The lookup verbs: what a client answers from its rules.

The awaited verbs wait only for the first ruleset while the client starts. After that they do not suspend: they read the
current ruleset, one attribute that a refresh replaces, and evaluate. `check_gate` is written out instead of calling
`Lookups.gate`, and reads the user's memo before it calls `evaluate`, which saves a tenth of it.
"""

from typing import TYPE_CHECKING, Literal

from asyncsdk._lookups.evaluator import Lookups, RulesHolder, show_experiment, show_gate
from asyncsdk._lookups.exposures import Exposures
from asyncsdk._lookups.flags import Flags
from asyncsdk._model.engines import DatabaseConnection
from asyncsdk._model.event_defaults import EventDefaults
from asyncsdk._model.events import Event, Properties
from asyncsdk._model.receipts import Receipt
from asyncsdk._model.results import DynamicConfig, Experiment, FeatureGate, Layer, ParameterStore
from asyncsdk._model.user_view import fault_of
from asyncsdk._model.users import User, UserLike, as_user
from asyncsdk._rules.compiler.evaluate import INVALID_USER, evaluate
from asyncsdk._version import __version__
from asyncsdk.errors import ConfigurationError

if TYPE_CHECKING:
    from asyncsdk._model.catalog import AllResults, ExperimentGroups, Names
    from asyncsdk._rules.bootstrap import Peek
    from asyncsdk._rules.explain import Explanation


class LookupVerbs:
    """The lookup verbs. `user` is a `User`, a `user_id`, or an object in Statsig's form.

    A lookup never raises. If there is no answer (an unknown name, no ruleset, an unusable user), it returns
    the fallback: False, or a result without parameters, whose `details.reason` says why. A lookup reports an exposure,
    once a minute for the same user and outcome, unless it is called with `exposure=False`.
    """

    _exposures: Exposures
    _holder: RulesHolder
    _lookups: Lookups
    # Whether lookups may use the current rules immediately: the client is not waiting for its first ones, and nothing
    # watches evaluations.
    _is_direct: bool

    async def _first_rules(self) -> None:
        raise NotImplementedError

    def put_nowait(self, event: Event) -> Receipt:
        """Admit an event without waiting."""
        raise NotImplementedError

    async def _take_in(self, connection: DatabaseConnection, event: Event) -> Receipt:
        raise NotImplementedError

    async def check_gate(self, user: UserLike, name: str, *, exposure: bool = True) -> bool:
        """Return whether a gate is open for a user.

        Args:
            user: The user, or a `user_id`.
            name: The gate. An unknown one is closed.
            exposure: False reports no exposure.
        """
        if not self._is_direct:
            return (await self.get_gate(user, name, exposure=exposure)).value
        rules = self._holder.rules
        if type(user) is not User:
            user = as_user(user)
        try:
            program = rules.gates.get(name) or rules.find("gate", name)
        except Exception:  # noqa: BLE001 -- a name that cannot be hashed
            program = self._lookups.program_of_no_name(rules, "gate", name)
        evaluation = memo.get(program) if (memo := user._memo) else None
        if evaluation is None:
            evaluation = evaluate(program, user)
            if evaluation.outcome is INVALID_USER:
                self._exposures.warn_of_user(user)
        if exposure and self._exposures.is_due(user, evaluation):
            self._exposures.report(rules, user, evaluation, None)
        return evaluation.value  # type: ignore[no-any-return] # a gate's value is a bool

    async def get_gate(self, user: UserLike, name: str, *, exposure: bool = True) -> FeatureGate:
        """Return a gate's value with the reason for it.

        Args:
            user: The user, or a `user_id`.
            name: The gate. An unknown one is closed.
            exposure: False reports no exposure.
        """
        if not self._is_direct:
            await self._first_rules()
        rules = self._holder.rules
        return show_gate(rules, self._lookups.gate(rules, as_user(user), name, exposure))

    async def get_config(self, user: UserLike, name: str, *, exposure: bool = True) -> DynamicConfig:
        """Return a dynamic config: its parameters, and the reason for them.

        Args:
            user: The user, or a `user_id`.
            name: The config. An unknown one has no parameters.
            exposure: False reports no exposure.
        """
        if not self._is_direct:
            await self._first_rules()
        rules = self._holder.rules
        if type(user) is not User:
            user = as_user(user)
        return self._lookups.config(rules, user, name, exposure)

    async def get_experiment(self, user: UserLike, name: str, *, exposure: bool = True) -> Experiment:
        """Return an experiment: the user's group, its parameters, and the reason for them.

        Args:
            user: The user, or a `user_id`.
            name: The experiment. An unknown one has no parameters and no group.
            exposure: False reports no exposure.
        """
        if not self._is_direct:
            await self._first_rules()
        rules = self._holder.rules
        if type(user) is not User:
            user = as_user(user)
        return self._lookups.experiment(rules, user, name, exposure)

    async def get_layer(self, user: UserLike, name: str, *, exposure: bool = True) -> Layer:
        """Return a layer. Reading one of its parameters reports the exposure to that parameter.

        Args:
            user: The user, or a `user_id`.
            name: The layer. An unknown one has no parameters.
            exposure: False reports no exposures.
        """
        if not self._is_direct:
            await self._first_rules()
        rules = self._holder.rules
        if type(user) is not User:
            user = as_user(user)
        return self._lookups.layer(rules, user, name, exposure)

    async def get_parameter_store(self, user: UserLike, name: str, *, exposure: bool = True) -> ParameterStore:
        """Return a parameter store. Reading a parameter reports the exposure to the gate, config or layer it refers to.

        Args:
            user: The user, or a `user_id`.
            name: The store. An unknown one has no parameters.
            exposure: False reports no exposures.
        """
        if not self._is_direct:
            await self._first_rules()
        rules = self._holder.rules
        return self._lookups.store(rules, as_user(user), name, exposure)

    async def get_all(self, user: UserLike) -> "AllResults":
        """Return all results of a user: of each gate, config, experiment, layer and parameter store.

        It reports no exposures (`log_exposure` does), notifies no `on_evaluation`, and assigns no sticky group; local
        overrides and saved groups apply. The first call compiles every name, half a millisecond each.

        Args:
            user: The user, or a `user_id`.
        """
        if not self._is_direct:
            await self._first_rules()
        from asyncsdk._lookups.all_results import all_results  # noqa: PLC0415 -- as this, see `MODULES_FOR_RULES`

        user = as_user(user)
        return all_results(self._holder.rules, user, self._peek_for(user))

    async def get_names(self) -> "Names":
        """Return the names of all gates, configs, experiments, autotunes, layers and parameter stores."""
        if not self._is_direct:
            await self._first_rules()
        from asyncsdk._rules.catalog import list_names  # noqa: PLC0415

        return list_names(self._holder.rules)

    async def get_experiment_groups(self, name: str) -> "ExperimentGroups":
        """Return the groups of an experiment, each with its parameters, and whether it is running.

        Args:
            name: The experiment. An unknown one has no groups.
        """
        if not self._is_direct:
            await self._first_rules()
        from asyncsdk._rules.catalog import experiment_groups  # noqa: PLC0415

        return experiment_groups(self._holder.rules, name)

    async def get_experiment_by_group(
        self, name: str, group: str | None = None, *, rule_id: str | None = None
    ) -> Experiment:
        """Return an experiment as a user of one of its groups would get it. No exposure is reported.

        Args:
            name: The experiment. An unknown one has no parameters and no group.
            group: Name of the group. If several rules have it, the first one answers. None looks up `rule_id`.
            rule_id: Id of the group's rule, used if `group` is None.
        """
        if not self._is_direct:
            await self._first_rules()
        from asyncsdk._rules.catalog import find_group  # noqa: PLC0415

        rules = self._holder.rules
        return show_experiment(rules, find_group(rules, name, group, rule_id))

    async def load_assignments(self, user: UserLike) -> bool:
        """Load the experiment groups that a user was given earlier, so that later lookups return the same ones.

        The store is the one in `Rules(assignments=...)`. Lookups of users that are not loaded are not sticky, and do
        not change assignments. The 10,000 units that were loaded last stay loaded.

        Args:
            user: The user, or a `user_id`. The assignments of `user_id` and of all `custom_ids` are loaded.

        Returns:
            True if they are loaded; False if the store failed, did not answer within one second, or is not set.

        Raises:
            WrongEventLoopError: The client runs on another event loop.
            ForkedProcessError: The client was started in the parent process.
        """
        assignments = self._lookups.assignments
        return assignments is not None and await assignments.load(as_user(user))

    def bind(self, user: UserLike, *, properties: Properties | None = None, context: Properties | None = None) -> Flags:
        """Return the lookups of one user under the current rules, for a request: without `await`, evaluated once.

        Args:
            user: The user, or a `user_id`.
            properties: Properties of the events that are tracked by these flags (`flags.track`). They win over those of
                the client, and an event's own win over them. None adds nothing.
            context: The same for RudderStack's `context`.
        """
        if type(user) is not User:
            user = as_user(user)
        if properties is None and context is None:
            return Flags(user, self._holder.rules, self._lookups, self.put_nowait, self._take_in)
        defaults = EventDefaults(properties, context)
        return Flags(user, self._holder.rules, self._lookups, self.put_nowait, self._take_in, defaults)

    def explain(self, user: UserLike, name: str) -> "Explanation":
        """Return how the rules decide for a user, as a tree with bucket numbers. No exposure is reported.

        Args:
            user: The user, or a `user_id`.
            name: A gate, config, experiment or layer. For an unknown one, the tree says so.

        Returns:
            The tree; `.render()` returns it as text.
        """
        return self._lookups.explain(self._holder.rules, as_user(user), name)

    def log_exposure(self, user: UserLike, name: str, parameter: str | None = None) -> None:
        """Report a manual exposure: that a user saw what was looked up with `exposure=False`.

        Args:
            user: The user, or a `user_id`.
            name: The gate, config, experiment, layer or parameter store.
            parameter: The parameter of the layer or store; ignored for other kinds. Of a store's parameter, the gate,
                config, experiment or layer that it refers to is exposed.
        """
        self._lookups.log_exposure(self._holder.rules, as_user(user), name, parameter)

    def bootstrap(
        self,
        user: UserLike,
        *,
        hash: Literal["djb2", "sha256", "none"] = "djb2",  # noqa: A002 -- the vendor's word
        client_key: str | None = None,
        include_local_overrides: bool = True,
    ) -> bytes:
        """Build the response that Statsig's browser and mobile SDKs start from (client-initialize).

        Its values are those that lookups return: local overrides apply, and so do the sticky assignments of a loaded
        user. It reports no exposures and assigns no sticky group.

        `@statsig/js-client` finds values only for a user with the `userID` and `customIDs` of the response's `user`, in
        which a `device_id` or `anonymous_id` is the custom ID `stableID`: start it with that `user`.

        The first call for a `hash` and `client_key` compiles every name, half a millisecond each: make one before the
        first request. After a refresh of the rules, the same calls are prepared in the background.

        Args:
            user: The user, or a `user_id`, whose evaluations it contains.
            hash: How names are hashed in it. `djb2`: for `@statsig/js-client`, the SDKs built on it, and current mobile
                SDKs. `sha256`: for the older `statsig-js` only; `@statsig/js-client` 3.33.5 finds no name in it.
                `none`: plain names, which `@statsig/js-client` reads too, and so can anyone.
            client_key: The client's SDK key, by which the project selects the names for an app. None selects all names.
            include_local_overrides: False leaves local overrides out, as Statsig's own server SDKs do by default.

        Returns:
            The response, as JSON.

        Raises:
            ConfigurationError: `hash` is none of the three.
        """
        from asyncsdk._rules.bootstrap import client_response, client_view  # noqa: PLC0415

        if hash not in ("djb2", "sha256", "none"):
            msg = f"`hash` is 'djb2' (for @statsig/js-client), 'sha256' (for statsig-js) or 'none', not {hash!r}"
            raise ConfigurationError(msg)
        rules, user = self._holder.rules, as_user(user)
        if fault_of(user):
            self._exposures.warn_of_user(user)
        view = client_view(rules, hash=hash, client_key=client_key, include_overrides=include_local_overrides)
        sdk = {"sdkType": "asyncsdk", "sdkVersion": __version__}
        return client_response(view, user, sdk, peek=self._peek_for(user))

    def _peek_for(self, user: User) -> "Peek | None":
        """Return the function that finds a user's sticky assignments; None if there are none."""
        assignments = self._lookups.assignments
        return assignments.peek if assignments is not None and assignments.has_any(user) else None
