"""The client-initialize response: everything about one user, in the form that browser and mobile SDKs start from.

Nothing is exposed by it. Names are hashed, segments and holdouts left out. An entry depends on an evaluation only, so
each is written once and kept with it; a response is a join of such pieces.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import attrs
import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.bootstrap_entries import FORMS, config_form, writer
from asyncsdk._rules.compiler.evaluate import Evaluation, Program, evaluate
from asyncsdk._rules.language.buckets import djb2, sha256_name
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.language.specs import MalformedError, Spec, read_fields, read_spec
from asyncsdk._rules.language.values import as_object, as_text
from asyncsdk._rules.loading import run_to_end
from asyncsdk._rules.ruleset import Ruleset

Hash = Literal["djb2", "sha256", "none"]

_HASHES: dict[str, Callable[[str], str]] = {
    "djb2": lambda name: str(djb2(name)),
    "sha256": sha256_name,
    "none": lambda name: name,
}
_HIDDEN_ENTITIES = ("segment", "holdout")
_REFERENCES = ("gate_name", "config_name", "experiment_name", "layer_name")
_MAX_VIEWS = 20
_USER_FIELDS = (
    ("userID", "user_id"),
    ("email", "email"),
    ("ip", "ip"),
    ("userAgent", "user_agent"),
    ("country", "country"),
    ("locale", "locale"),
    ("appVersion", "app_version"),
    ("customIDs", "custom_ids"),
)


@attrs.frozen(eq=False, repr=False)
class _Entry:
    """One name of a response: its program, and how its evaluation is written."""

    program: Program
    write: Callable[[Evaluation], bytes]


@attrs.frozen(eq=False, repr=False)
class ClientView:
    """A ruleset as one client key sees it, with names in one hash: made once, used for every user.

    Attributes:
        rules: The rules under the client's app.
        hash: How names are hashed.
        parts: The entries of each section.
        stores: The parameter stores, written.
    """

    rules: Ruleset
    hash: Hash
    parts: Mapping[str, tuple[_Entry, ...]]
    stores: bytes


class _Key(NamedTuple):
    """What a view is kept by."""

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
    """Give a ruleset as a client sees it; the first call for a client compiles every name.

    Later versions have the view already, through `rebuild_views`.

    Args:
        rules: The ruleset.
        hash: How names are hashed.
        client_key: The client's SDK key, which names its app where the ruleset has a table of them.
        app: The client's app, which decides over the key.
        include_overrides: Let local overrides answer, too.
    """
    key = _Key(hash, client_key, app, include_overrides)
    found: ClientView | None = rules.views.get(key)
    if found is None:
        if len(rules.views) >= _MAX_VIEWS:
            rules.views.clear()
        found = rules.views[key] = run_to_end(_build_view(rules, key))
    return found


def rebuild_views(old: Ruleset, new: Ruleset) -> Iterator[None]:
    """Make the views of an earlier version for a new one, yielding between names, so that no response has to."""
    for key, view in list(old.views.items()):
        new.views[key] = yield from _build_view(new, key, view)


def client_response(view: ClientView, user: User, sdk_info: Mapping[str, Any], now_ms: int = 0) -> bytes:
    """Write the response for a user.

    A gate that looks at itself without end is left out.

    Args:
        view: What the client sees.
        user: The user; private attributes are evaluated, never written.
        sdk_info: `sdkInfo` of the response.
        now_ms: Milliseconds since 1970, `generated_at` of the response; 0 leaves it out.
    """
    rules = view.rules
    parts = [b'{"has_updates":', b"true" if rules.facts else b"false"]
    for section, entries in view.parts.items():
        written = b",".join(
            [
                entry.write(found)
                for entry in entries
                if (found := evaluate(entry.program, user)) is not entry.program.too_deep
            ]
        )
        parts += (b',"', section.encode(), b'":{', written, b"}")
    parts += (b',"param_stores":', view.stores, b",", orjson.dumps(_head(view, user, sdk_info, now_ms))[1:])
    return b"".join(parts)


def _head(view: ClientView, user: User, sdk_info: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    rules = view.rules
    fields: dict[str, Any] = {
        "time": rules.time_ms,
        "hash_used": view.hash,
        "user": _user(rules, user),
        "sdkParams": {},
        "sdkInfo": dict(sdk_info),
        "evaluated_keys": _keys(user),
        **_session_replay(rules, user, _HASHES[view.hash]),
    }
    private = as_object(user.private_attributes)
    if private:
        fields["pa_hash"] = str(sum(djb2(f"{key}:{as_text(value) or ''}") for key, value in private.items()) % 2**32)
    if now_ms:
        fields["generated_at"] = now_ms
    return fields


def _user(rules: Ruleset, user: User) -> dict[str, Any]:
    """Give a user as logged: what is set, no private attributes, the environment filled in."""
    fields = {name: value for name, attribute in _USER_FIELDS if (value := getattr(user, attribute)) is not None}
    custom = {**rules.shared_context.global_custom, **(as_object(user.custom) or {})}
    environment = as_object(user.statsig_environment) or rules.shared_context.environment
    if custom:
        fields["custom"] = custom
    if environment:
        fields["statsigEnvironment"] = dict(environment)
    try:
        orjson.dumps(fields)
    except TypeError:
        return {name: written for name, value in fields.items() if (written := as_text(value)) is not None}
    return fields


def _keys(user: User) -> dict[str, Any]:
    keys: dict[str, Any] = {"userID": as_text(user.user_id)} if user.user_id else {}
    ids = as_object(user.custom_ids)
    return {**keys, "customIDs": {name: as_text(value) for name, value in ids.items()}} if ids else keys


# Which names a client sees.


def _filtered_app(rules: Ruleset, client_key: str | None, app: str | None) -> tuple[Any, bool]:
    """Find the app whose specs alone are shown; the second half says whether there is one."""
    if app is not None:
        return app, True
    if client_key is None:
        return rules.facts.get("app_id"), False
    hashed, plain = rules.facts.get("hashed_sdk_keys_to_app_ids"), rules.facts.get("sdk_keys_to_app_ids")
    if isinstance(hashed, dict):
        found = hashed.get(str(djb2(client_key)))
    elif isinstance(plain, dict):
        found = plain.get(client_key)
    else:
        found = rules.facts.get("app_id")
    return found, found is not None


def _build_view(rules: Ruleset, key: _Key, previous: ClientView | None = None) -> Generator[None, None, ClientView]:
    app_id, filters = _filtered_app(rules, key.client_key, key.app)
    shared_context = attrs.evolve(
        rules.shared_context,
        app_id=app_id,
        knows_groups=False,
        overrides=rules.shared_context.overrides if key.include_overrides else Overrides(),
    )
    seen = rules.with_context(shared_context)
    if previous is not None:
        yield from seen.adopt_programs(previous.rules)
    wanted = app_id if filters else None
    hashed = _HASHES[key.hash]
    gates = yield from _entries(seen, "gate", "feature_gates", wanted, hashed)
    configs = yield from _entries(seen, "experiment", "dynamic_configs", wanted, hashed)
    layers = yield from _entries(seen, "layer", "layer_configs", wanted, hashed)
    shown = {
        "feature_gates": gates,
        "dynamic_configs": (*configs, *_bandits(seen, wanted, hashed)),
        "layer_configs": layers,
    }
    return ClientView(seen, key.hash, shown, _write_stores(seen, wanted, hashed))


def _entries(
    rules: Ruleset, kind: str, section: str, app: Any, hashed: Callable[[str], str]
) -> Generator[None, None, tuple[_Entry, ...]]:
    entries = []
    for name in rules.names(section):
        yield
        try:
            spec = read_spec(rules.raw(section, name) or b"", name, inline=rules.is_inline)
        except MalformedError:
            continue
        program = rules.program(kind, name)
        if program is not None and spec.entity not in _HIDDEN_ENTITIES and _is_for(spec.target_app_ids, app):
            entries.append(_Entry(program, writer(FORMS[kind], spec, hashed)))
    return tuple(entries)


def _bandits(rules: Ruleset, app: Any, hashed: Callable[[str], str]) -> list[_Entry]:
    entries = []
    for name in rules.names("cmab_configs"):
        program = rules.program("experiment", name)
        apps = read_fields(rules.raw("cmab_configs", name), name).get("targetAppIDs")
        if program is not None and rules.raw("dynamic_configs", name) is None and _is_for(apps, app):
            spec = Spec(name, entity="autotune", id_type=program.unsupported.id_type)
            entries.append(_Entry(program, writer(config_form, spec, hashed)))
    return entries


def _is_for(apps: Any, app: Any) -> bool:
    if app is None:
        return True
    wanted = app if isinstance(app, list) else [app]
    return apps is not None and not set(apps).isdisjoint(wanted)


def _write_stores(rules: Ruleset, app: Any, hashed: Callable[[str], str]) -> bytes:
    """Write the parameter stores: what each parameter refers to, by hashed name."""
    written = {}
    for name in rules.names("param_stores"):
        store = read_fields(rules.raw("param_stores", name), name)
        parameters = as_object(store.get("parameters"))
        if parameters is not None and _is_for(store.get("targetAppIDs"), app):
            written[hashed(name)] = {
                key: {"name": key, **_hashed_references(value, hashed)} for key, value in parameters.items()
            }
    return orjson.dumps(written)


def _hashed_references(parameter: Any, hashed: Callable[[str], str]) -> dict[str, Any]:
    fields = as_object(parameter) or {}
    return {
        key: hashed(value) if key in _REFERENCES and isinstance(value, str) else value for key, value in fields.items()
    }


def _session_replay(rules: Ruleset, user: User, hashed: Callable[[str], str]) -> dict[str, Any]:
    """Write what the client needs to know about session recording."""
    info = as_object(rules.facts.get("session_replay_info"))
    if info is None:
        return {}
    rate, blocked, gate = info.get("sampling_rate"), info.get("recording_blocked"), info.get("targeting_gate")
    passes = rules.gate(user, gate).value is True if isinstance(gate, str) else None
    is_drawn = not isinstance(rate, (int, float)) or rules.shared_context.random() <= rate
    fields: dict[str, Any] = {"can_record_session": not blocked and passes is not False and is_drawn}
    if rate is not None:
        fields["session_recording_rate"] = rate
    if blocked is not None:
        fields["recording_blocked"] = blocked
    if passes is not None:
        fields["passes_session_recording_targeting"] = passes
    for name in ("session_recording_event_triggers", "session_recording_exposure_triggers"):
        triggers = as_object(info.get(name))
        if triggers is not None:
            rename = hashed if "exposure" in name else str
            fields[name] = {rename(key): _trigger(rules, value) for key, value in triggers.items()}
    if info.get("session_recording_privacy_settings") is not None:
        fields["session_recording_privacy_settings"] = info["session_recording_privacy_settings"]
    return fields


def _trigger(rules: Ruleset, trigger: Any) -> dict[str, Any]:
    fields = dict(as_object(trigger) or {})
    rate = fields.pop("sampling_rate", None)
    if isinstance(rate, (int, float)):
        fields["passes_sampling"] = rules.shared_context.random() <= rate
    return fields
