"""Builds the client-initialize response: all evaluations for one user, from which browser and mobile SDKs start.

Building it reports no exposures. Names are hashed; segments and holdouts are omitted.

A response is built in two steps:

1. `client_view`, once per ruleset and client: select the names that the client may see, compile them, and prepare a
   writer for each. A refresh builds the views before the new ruleset is used (`rebuild_views`), so that only the very
   first response of a client pays for it.
2. `client_response`, once per user: evaluate each name and join the entries. The bytes of an entry are cached on
   the evaluation (`bootstrap_entries.py`), so little is encoded per user.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import attrs
import orjson

from asyncsdk._model.user_view import ids_of, own_custom, own_value, prepare
from asyncsdk._model.users import User, unusable_user
from asyncsdk._model.wire_values import wire_key
from asyncsdk._rules.bootstrap_entries import FIELDS_BY_KIND, Entry, config_fields, entry_writer
from asyncsdk._rules.bootstrap_overrides import override_kind, unlisted_entries
from asyncsdk._rules.bootstrap_stores import encode_stores, merge_overrides, store_overrides
from asyncsdk._rules.compiler.evaluate import LOCAL_OVERRIDE, Evaluation, evaluate
from asyncsdk._rules.language.buckets import djb2, sha256_name
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.language.specs import MalformedError, Spec, read_fields, read_spec
from asyncsdk._rules.language.values import as_text
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._rules.session_replay import session_replay_fields
from asyncsdk._rules.sliced import run_to_end
from asyncsdk.errors import InvalidEventError

Hash = Literal["djb2", "sha256", "none"]
Peek = Callable[[Ruleset, Literal["experiment", "layer"], User, Evaluation], Evaluation]
"""Takes (rules, kind, user, live evaluation); returns the evaluation of the sticky assignment, or the live one."""

_HASHES: dict[str, Callable[[str], str]] = {
    "djb2": lambda name: str(djb2(name)),
    "sha256": sha256_name,
    "none": lambda name: name,
}
# Names of both kinds describe how a project is organised, not what a client should do.
_HIDDEN_ENTITIES = ("segment", "holdout")
_MAX_VIEWS = 20
"""Maximum number of views of a ruleset, each with its own programs. At the limit all are dropped."""
_USER_FIELDS = (
    ("userID", attrgetter("_user_id")),
    ("email", attrgetter("_email")),
    ("ip", attrgetter("_ip")),
    ("userAgent", attrgetter("_user_agent")),
    ("country", attrgetter("_country")),
    ("locale", attrgetter("_locale")),
    ("appVersion", attrgetter("_app_version")),
    ("customIDs", ids_of),
)


@attrs.frozen(eq=False, repr=False)
class ClientView:
    """A ruleset as one client key sees it, with one name hash. Built once, used for every user.

    Attributes:
        rules: The rules under the client's app.
        hash: How names are hashed.
        sections: The entries of each section.
        unlisted: By section, names that are not in the ruleset and have local overrides for some or all users.
        stores: The parameter stores, encoded.
        store_overrides: For the stores with local overrides, a function from a user to the fields that differ.
    """

    rules: Ruleset
    hash: Hash
    sections: Mapping[str, tuple[Entry, ...]]
    unlisted: Mapping[str, tuple[Entry, ...]]
    stores: bytes
    store_overrides: Callable[[User], dict[str, Any]] | None


class _ViewKey(NamedTuple):
    """The key of a view in `Ruleset.views`: the arguments of `client_view`."""

    hash: Hash
    client_key: str | None
    app: str | None
    include_overrides: bool


def client_view(
    rules: Ruleset,
    *,
    hash: Hash = "djb2",  # noqa: A002 -- the vendor's name for it
    client_key: str | None = None,
    app: str | None = None,
    include_overrides: bool = False,
) -> ClientView:
    """Return a ruleset as a client sees it. The first call for a client compiles every name.

    Later versions of the ruleset come with the view, through `rebuild_views`.

    Args:
        rules: The ruleset.
        hash: How names are hashed.
        client_key: The client's SDK key; the ruleset maps it to an app. None uses the app of the ruleset.
        app: The client's app; takes precedence over `client_key`.
        include_overrides: Whether local overrides apply.
    """
    key = _ViewKey(hash, client_key, app, include_overrides)
    view: ClientView | None = rules.views.get(key)
    if view is None:
        # `client_key` and `app` may come from a request, so the number of views is bounded.
        if len(rules.views) >= _MAX_VIEWS:
            rules.views.clear()
        view = rules.views[key] = run_to_end(_build_view(rules, key))
    return view


def rebuild_views(old: Ruleset, new: Ruleset) -> Iterator[None]:
    """Build the views of `old` for `new`, yielding between names, so that no response has to build them."""
    for key, view in list(old.views.items()):
        new.views[key] = yield from _build_view(new, key, view)


def client_response(
    view: ClientView, user: User, sdk_info: Mapping[str, Any], now_ms: int = 0, *, peek: Peek | None = None
) -> bytes:
    """Return the response for a user, as JSON.

    Names whose evaluation is nested too deeply, such as a gate that refers to itself, are omitted.

    Args:
        view: The client's view of the ruleset.
        user: The user. Private attributes are evaluated but never written.
        sdk_info: `sdkInfo` of the response.
        now_ms: `generated_at` of the response, in milliseconds since 1970; 0 omits it.
        peek: Finds the user's sticky assignments; None if there are none.
    """
    rules = view.rules
    if not (user._view.is_ready or prepare(user)):
        user = unusable_user(user._view.fault)  # none of its fields
    parts = [b'{"has_updates":', b"true" if rules.facts else b"false"]
    for section, entries in view.sections.items():
        encoded = []
        for entry in entries:
            program = entry.program
            evaluation = ((memo := user._memo) and memo.get(program)) or evaluate(program, user)
            if evaluation is program.too_deep:
                continue
            if peek is not None and entry.sticky is not None:
                evaluation = peek(rules, entry.sticky, user, evaluation)
            encoded.append(entry.write(evaluation))
        for entry in view.unlisted.get(section, ()):
            evaluation = evaluate(entry.program, user)
            if evaluation.outcome == LOCAL_OVERRIDE:  # else it is not overridden for this user
                encoded.append(entry.write(evaluation))
        parts += (b',"', section.encode(), b'":{', b",".join(encoded), b"}")
    # The trailing fields lose their opening brace: they continue the object that `parts` began.
    stores = merge_overrides(view.stores, view.store_overrides, user)
    parts += (b',"param_stores":', stores, b",", orjson.dumps(_trailing_fields(view, user, sdk_info, now_ms))[1:])
    return b"".join(parts)


def _trailing_fields(view: ClientView, user: User, sdk_info: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    rules = view.rules
    fields: dict[str, Any] = {
        "time": rules.time_ms,
        "hash_used": view.hash,
        "user": _user_fields(rules, user),
        "sdkParams": {},
        "sdkInfo": dict(sdk_info),
        "evaluated_keys": _evaluated_keys(user),
        **session_replay_fields(rules, user, _HASHES[view.hash]),
    }
    private = _values(user, user._private_attributes)
    # Identifies the private attributes without containing them.
    if private:
        fields["pa_hash"] = str(sum(djb2(f"{key}:{as_text(value) or ''}") for key, value in private.items()) % 2**32)
    if now_ms:
        fields["generated_at"] = now_ms
    return fields


def _user_fields(rules: Ruleset, user: User) -> dict[str, Any]:
    """Return the user as logged: the fields that are set, the environment, no private attributes."""
    fields: dict[str, Any] = {}
    for name, read in _USER_FIELDS:
        value = read(user)
        if value is not None:
            fields[name] = value
    custom = {**rules.shared_context.global_custom, **(_values(user, user._custom) or {})}
    environment = user._statsig_environment or rules.shared_context.environment
    if custom or user._custom is not None:
        fields["custom"] = custom
    if environment:
        fields["statsigEnvironment"] = dict(environment)
    return fields


def _values(user: User, fields: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return values of a user as they are on the wire, without those that have no form on it."""
    if fields is None:
        return None
    if fields is user._custom and not user._view.owns_custom:
        fields = own_custom(user)
    values = {}
    for key in list(fields):
        with suppress(InvalidEventError):
            values[wire_key(key, "user.custom")] = own_value(user, (key,), fields)
    return values


def _evaluated_keys(user: User) -> dict[str, Any]:
    keys: dict[str, Any] = {"userID": user._user_id} if user._user_id else {}
    ids = ids_of(user)
    return {**keys, "customIDs": ids} if ids else keys


# Which names a client sees


def _resolve_app(rules: Ruleset, client_key: str | None, app: str | None) -> tuple[Any, bool]:
    """Return the app of a client, and whether the response is filtered by it.

    Cases: 1. an explicit app; 2. no key: the app of the ruleset; 3. the key's app in the table of hashed keys, else in
    the table of plain keys, else the app of the ruleset. Without an app nothing is filtered.
    """
    if app is not None:  # case 1
        return app, True
    if client_key is None:  # case 2
        return rules.facts.get("app_id"), False
    hashed_keys, plain_keys = rules.facts.get("hashed_sdk_keys_to_app_ids"), rules.facts.get("sdk_keys_to_app_ids")
    if isinstance(hashed_keys, dict):
        key_app = hashed_keys.get(str(djb2(client_key)))
    elif isinstance(plain_keys, dict):
        key_app = plain_keys.get(client_key)
    else:
        key_app = rules.facts.get("app_id")
    return key_app, key_app is not None


def _build_view(rules: Ruleset, key: _ViewKey, previous: ClientView | None = None) -> Generator[None, None, ClientView]:
    app_id, filters = _resolve_app(rules, key.client_key, key.app)
    shared_context = attrs.evolve(
        rules.shared_context,
        app_id=app_id,
        overrides=rules.shared_context.overrides if key.include_overrides else Overrides(),
    )
    client_rules = rules.with_context(shared_context)
    if previous is not None:
        yield from client_rules.adopt_programs(previous.rules)
    wanted = app_id if filters else None  # None shows every app
    hash_name = _HASHES[key.hash]
    gates = yield from _build_entries(client_rules, "gate", "feature_gates", wanted, hash_name)
    configs = yield from _build_entries(client_rules, "experiment", "dynamic_configs", wanted, hash_name)
    layers = yield from _build_entries(client_rules, "layer", "layer_configs", wanted, hash_name)
    bandits = _bandit_entries(client_rules, wanted, hash_name)
    # A bandit replaces the entry of a spec with the same name.
    names = {entry.program.name for entry in bandits}
    sections = {
        "feature_gates": gates,
        "dynamic_configs": (*(entry for entry in configs if entry.program.name not in names), *bandits),
        "layer_configs": layers,
    }
    is_visible = partial(_is_visible_to, app=wanted)
    return ClientView(
        client_rules,
        key.hash,
        sections,
        unlisted_entries(client_rules, hash_name),
        encode_stores(client_rules, hash_name, is_visible),
        store_overrides(client_rules, hash_name, is_visible),
    )


def _build_entries(
    rules: Ruleset, kind: str, section: str, app: Any, hash_name: Callable[[str], str]
) -> Generator[None, None, tuple[Entry, ...]]:
    entries = []
    for name in rules.names(section):
        yield
        # A malformed spec is omitted; the others are unaffected.
        try:
            spec = read_spec(rules.raw(section, name) or b"", name, inline=rules.is_inline)
        except MalformedError:
            continue
        # A browser has one namespace for both kinds, so the override of the other kind applies if it is the only one.
        named = override_kind(rules, name, spec) if kind == "experiment" else kind
        program = yield from rules.program_in_steps(named, name)
        if program is not None and spec.entity not in _HIDDEN_ENTITIES and _is_visible_to(spec.target_app_ids, app):
            entries.append(
                Entry(program, entry_writer(FIELDS_BY_KIND[kind], spec, hash_name), _sticky_kind(kind, spec))
            )
    return tuple(entries)


def _sticky_kind(kind: str, spec: Spec) -> Literal["experiment", "layer"] | None:
    if kind == "layer":
        return "layer"
    return "experiment" if spec.entity == "experiment" else None


def _bandit_entries(rules: Ruleset, app: Any, hash_name: Callable[[str], str]) -> list[Entry]:
    entries = []
    for name in rules.names("cmab_configs"):
        program = rules.program("experiment", name)
        apps = read_fields(rules.raw("cmab_configs", name), name).get("targetAppIDs")
        if program is not None and _is_visible_to(apps, app):
            # A bandit has no spec of its own; this one has what an entry needs.
            spec = Spec(name, entity="autotune", id_type=program.unsupported.id_type)
            entries.append(Entry(program, entry_writer(config_fields, spec, hash_name)))
    return entries


def _is_visible_to(apps: Any, app: Any) -> bool:
    """Return whether a spec for `apps` is part of a response for `app`, None for all.

    An app that is not text counts as its text, as in statsig-python-core: a list of apps shows nothing.
    """
    wanted = as_text(app)
    return wanted is None or (isinstance(apps, list | tuple) and wanted in apps)
