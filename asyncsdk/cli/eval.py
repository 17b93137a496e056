"""Evaluate a gate, config, experiment, layer or parameter store for a user.

  asyncsdk eval new_checkout --user '{"userID": "u1", "country": "NL"}'
  asyncsdk eval new_checkout --user u1 --rules rules.json --explain

The rules are those of a file, of the URL of a dev server or a proxy, or of
"statsig", the default: the project of the key in STATSIG_SECRET_KEY, or with
ASYNCSDK_DEV_SERVER that dev server. No exposure is reported. ID lists count as
empty. Values of private attributes are not shown.

Exit code: 0, or 2 for bad input, such as a name that the rules do not have.
"""

import argparse
import random
import sys
import time
from difflib import get_close_matches
from typing import Any, cast

import attrs
import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.explain import Step, explain
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.parameters import evaluate_parameter
from asyncsdk._rules.ruleset import KINDS, Kind, Ruleset
from asyncsdk.cli._decision import asks_for_id_lists, side_of
from asyncsdk.cli._terminal import ascii_json, escape, fail
from asyncsdk.cli._users import UsersError, parse_user
from asyncsdk.cli.codegen.source import SourceError, read_rules

SUMMARY = "evaluate a name for a user, and explain the result"
_STORE = "parameter_store"
_SECTIONS = ("feature_gates", "dynamic_configs", "layer_configs", "param_stores", "cmab_configs")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("name", metavar="NAME", help="gate, config, experiment, layer or parameter store")
    parser.add_argument("--user", required=True, metavar="JSON", help="the user's fields, or a user id")
    parser.add_argument("--rules", default="statsig", metavar="SOURCE", help="file, URL or statsig (default: statsig)")
    parser.add_argument("--kind", choices=(*sorted(KINDS), _STORE), help="the kind, if the name has several")
    parser.add_argument("--environment", metavar="TIER", help="tier of the environment (default: the rules' own)")
    parser.add_argument("--explain", action="store_true", help="show each rule and condition that was evaluated")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the result, and return the exit code."""
    environment = None if arguments.environment is None else {"tier": arguments.environment}
    context = SharedContext(clock=lambda: int(time.time() * 1000), random=random.random, environment=environment)
    try:
        user = parse_user(arguments.user)
        rules = read_rules(arguments.rules, context)
        kind = _kind_of(rules, arguments.name, arguments.kind)
    except (SourceError, UsersError) as error:
        return fail("eval", str(error))
    if asks_for_id_lists(rules):
        print("asyncsdk eval: the rules ask for ID lists, which count as empty here", file=sys.stderr)
    found = _read_store(rules, user, arguments.name) if kind == _STORE else _evaluate(rules, user, kind, arguments)
    print(ascii_json(found) if arguments.json else _as_text(found))
    return 0


def _kind_of(rules: Ruleset, name: str, wanted: str | None) -> str:
    """Return the kind of a name.

    Raises:
        UsersError: The rules do not have the name, or not of that kind, or of several kinds.
    """
    kinds: list[str] = [*rules.kinds_of(name), *([_STORE] if rules.has_store(name) else [])]
    if wanted is not None and wanted in kinds:
        return wanted
    if kinds and wanted is not None:
        msg = f"{name!r} is no {wanted.replace('_', ' ')}, but a {kinds[0].replace('_', ' ')}"
    elif not kinds:
        known = {one for section in _SECTIONS for one in rules.names(section)}
        near = get_close_matches(name, known, 3)
        msg = f"the rules have no {name!r}" + (f"; did you mean {', '.join(near)}?" if near else "")
    elif len(kinds) > 1:
        msg = f"{name!r} is of several kinds: pass --kind {' or --kind '.join(kinds)}"
    else:
        return kinds[0]
    raise UsersError(msg)


def _evaluate(rules: Ruleset, user: User, kind: str, arguments: argparse.Namespace) -> dict[str, Any]:
    one, name = cast("Kind", kind), arguments.name
    evaluation = rules.lookup(one, user, name)
    found = {"name": name, "kind": kind, **attrs.asdict(side_of(rules, one, name, user, evaluation))}
    if arguments.explain:
        explanation = explain(rules, one, user, name, evaluation)
        found["explanation"] = explanation.render() if not arguments.json else [*map(_show, explanation.steps)]
    return found


def _read_store(rules: Ruleset, user: User, name: str) -> dict[str, Any]:
    store = orjson.loads(rules.raw("param_stores", name) or b"{}")
    values = {one: evaluate_parameter(rules, user, name, one).value for one in store.get("parameters", {})}
    return {"name": name, "kind": _STORE, "value": values}


def _show(step: Step) -> dict[str, Any]:
    return {"text": step.text, "holds": step.holds, "kind": step.kind, "steps": [*map(_show, step.steps)]}


def _as_text(found: dict[str, Any]) -> str:
    if "explanation" in found:
        return "\n".join(map(escape, found["explanation"].split("\n")))
    value = found["value"]
    shown = ("open" if value else "closed") if isinstance(value, bool) else orjson.dumps(value).decode()
    lines = [f"{found['name']} ({found['kind'].replace('_', ' ')}): {shown}"]
    lines += [f"  {key:7} {found[key]}" for key in ("group", "why", "reason") if found.get(key)]
    return "\n".join(map(escape, lines))
