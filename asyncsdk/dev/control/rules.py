"""The calls about the ruleset: names, one name's rules, edits, the diff to the file."""

from collections.abc import Callable, Mapping, Sequence

import attrs
import orjson

from asyncsdk._rules.compiler.linker import Linker
from asyncsdk._rules.language.specs import MalformedError
from asyncsdk._rules.places import group_borders
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.calls import MAX_JSON, Call, CallError, Routes, take
from asyncsdk.dev.control.decisions import outcome, read_user
from asyncsdk.dev.control.people import NamedUsers
from asyncsdk.dev.http import read_body
from asyncsdk.dev.initialize import Evaluator
from asyncsdk.dev.json_places import line_and_column, places
from asyncsdk.dev.received_event import Json
from asyncsdk.dev.rulebook import Rulebook
from asyncsdk.dev.ruleset_check import Mistake, check_spec
from asyncsdk.dev.ruleset_edits import (
    Found,
    find,
    inside_names,
    names,
    percentage_rule,
    switched,
    with_gate,
    with_percentage,
    with_spec,
)
from asyncsdk.dev.ruleset_edits import Ruleset as Rules
from asyncsdk.dev.ruleset_formats import CONVERSIONS, TABLE, BrokenRulesetError, format_of


@attrs.frozen(eq=False)
class RuleCalls:
    """The calls.

    Attributes:
        bench: The state.
        book: The ruleset.
        users: The named users, for whom a dry run says what would change.
        reload: Loads the file if it has changed.
    """

    bench: Bench
    book: Rulebook
    users: NamedUsers
    reload: Callable[[], object]

    def routes(self) -> Routes:
        """Return the handlers of the calls."""
        return {
            ("GET", "names"): self._names,
            ("GET", "ruleset"): self._get,
            ("PUT", "ruleset"): self._put,
            ("GET", "ruleset/diff"): self._diff,
            ("PUT", "ruleset/file"): self._write,
            ("DELETE", "ruleset/file"): self._revert,
            ("GET", "ruleset/{name}"): self._get_name,
            ("PATCH", "ruleset/{name}"): self._patch,
            ("POST", "ruleset/{name}"): self._create,
            ("DELETE", "ruleset/{name}"): self._delete,
        }

    # --- reading ----------------------------------------------------------------------------------------------

    async def _names(self, _: Call) -> Json:
        self.reload()
        working, inside = self.book.working, inside_names(self.book.working)
        evaluator = self.book.rules.evaluator()
        known = {found.name: found for found in names(working)}
        shown = [self._show_name(found, evaluator.rules, inside) for found in known.values()]
        return {"names": shown, "unknown": self.bench.asked.unknown(known), "differs": self.book.differs}

    def _show_name(self, found: Found, rules: Ruleset, inside: set[str]) -> dict[str, Json]:
        asked, rule = self.bench.asked.get(found.name), percentage_rule(self.book.working, found.spec)
        percentage = rule and {
            "rule": rule.get("id"),
            "label": rule.get("name") or rule.get("id"),
            "value": rule.get("passPercentage"),
        }
        return {
            "name": found.name,
            "kind": found.kind,
            "enabled": found.spec.get("enabled", True),
            "rules": len(found.spec.get("rules", [])),
            "percentage": None if found.kind == "experiment" else percentage,
            "groups": _groups(rules, found),
            "differs": found.spec != _spec_of(self.book.original, found),
            "count": asked.count,
            "last": asked.last,
            "by": asked.by,
            "inside": found.name in inside,
        }

    async def _get(self, call: Call) -> Json:
        self.reload()
        if call.query.get("name"):
            return self._show(self._find(call, call.query["name"]))
        return {
            "ruleset": self.book.working,
            "file": str(self.book.path or ""),
            "time": self.book.rules.version.time,
            "differs": self.book.differs,
        }

    async def _get_name(self, call: Call) -> Json:
        self.reload()
        return self._show(self._find(call, call.match["name"]))

    async def _diff(self, _: Call) -> Json:
        original, working = self.book.original, self.book.working
        changes = [
            {"section": section, "name": name, "old": before.get(name), "new": after.get(name)}
            for section in sorted({*original, *working})
            for before, after in [_sides(original.get(section), working.get(section))]
            for name in dict.fromkeys([*before, *after])
            if before.get(name) != after.get(name)
        ]
        return {"file": str(self.book.path or ""), "changes": changes}

    def _show(self, found: Found) -> dict[str, Json]:
        rules, inside = self.book.rules.evaluator().rules, inside_names(self.book.working)
        return {
            **self._show_name(found, rules, inside),
            "spec": found.spec,
            "file": _spec_of(self.book.original, found),
        }

    def _find(self, call: Call, name: str) -> Found:
        found = find(self.book.working, name, call.query.get("kind"))
        if found is None:
            raise CallError(404, f"the ruleset has no {name[:200]!r}")
        return found

    # --- changing ---------------------------------------------------------------------------------------------

    async def _put(self, call: Call) -> Json:
        text = await read_body(call.http, MAX_JSON)
        ruleset = _parse(text)
        ruleset = ruleset["ruleset"] if isinstance(ruleset, dict) and "ruleset" in ruleset else ruleset
        try:
            source = format_of(ruleset if isinstance(ruleset, dict) else {})
        except BrokenRulesetError as error:
            raise CallError(400, f"this is not a ruleset: {error}") from error
        working: Rules = CONVERSIONS[source, "v2"](ruleset)
        table = working.get(TABLE, {})
        mistakes = [
            Mistake(f"{found.section}.{found.name}.{mistake.path}".rstrip("."), mistake.text)
            for found in names(working)
            for mistake in check_spec(found.spec, found.kind, table)
        ]
        _refuse(mistakes, text)
        return self._apply(call, working)

    async def _patch(self, call: Call) -> Json:
        text = await read_body(call.http, MAX_JSON)
        body, found = _parse(text), self._find(call, call.match["name"])
        if not isinstance(body, dict) or not body.keys() & {"spec", "enabled", "percentage"}:
            known = '{"spec": ...}, {"enabled": ...} or {"percentage": {"rule": ..., "value": ...}}'
            raise CallError(400, f"a change is {known}")
        spec = body.get("spec", found.spec)
        if "spec" in body:
            mistakes = check_spec(spec, found.kind, self.book.working.get(TABLE, {}))
            _refuse([Mistake(f"spec.{m.path}".rstrip("."), m.text) for m in mistakes], text, "spec.")
        if (percentage := take(body, "percentage", dict)) is not None:
            spec = self._with_percentage(spec, percentage)
        if (enabled := take(body, "enabled", bool)) is not None:
            spec = switched(self.book.working, attrs.evolve(found, spec=spec), on=enabled)
        return self._apply(call, with_spec(self.book.working, found.section, found.name, spec), found)

    def _with_percentage(self, spec: Mapping[str, Json], change: Mapping[str, Json]) -> Mapping[str, Json]:
        value = take(change, "value", float)
        if value is None or not 0 <= value <= 100:
            raise CallError(400, "percentage.value is a number from 0 to 100")
        rule = take(change, "rule", str) or (percentage_rule(self.book.working, spec) or {}).get("id", "")
        changed = with_percentage(spec, rule, value)
        if changed is None:
            raise CallError(404, f"there is no rule {rule[:200]!r}")
        return changed

    async def _create(self, call: Call) -> Json:
        name = call.match["name"]
        if find(self.book.working, name) is not None:
            raise CallError(409, f"the ruleset has {name[:200]!r} already")
        return self._apply(call, with_gate(self.book.working, name))

    async def _delete(self, call: Call) -> Json:
        found = self._find(call, call.match["name"])
        return self._apply(call, with_spec(self.book.working, found.section, found.name, None))

    async def _write(self, _: Call) -> Json:
        try:
            path = self.book.write()
        except OSError as error:
            raise CallError(409 if self.book.path is None else 500, f"not written: {error}") from error
        self.reload()
        self.bench.changed("rules")
        return {"file": str(path)}

    async def _revert(self, _: Call) -> Json:
        self.book.revert()
        self.bench.changed("rules")
        return {"differs": False}

    def _apply(self, call: Call, working: Rules, found: Found | None = None) -> dict[str, Json]:
        """Serve another working copy, or only say what would change for the named users, if `dry_run` is set."""
        is_dry = call.query.get("dry_run", "").lower() in ("1", "true")
        changes = self._changes(working, found)
        if not is_dry:
            self.book.edit(working)
            self.bench.changed("rules")
        time = self.book.rules.version.time
        return {"dry_run": is_dry, "changes": changes, "users": len(self.users.all()), "time": time}

    def _changes(self, working: Rules, changed: Found | None) -> Sequence[dict[str, Json]]:
        """Return the named users who would get something else, by name."""
        served = self.book.rules
        before = served.evaluator().rules
        after = Evaluator.of_body(self.book.preview(working), served.entries).rules
        known = [changed] if changed is not None else list({f.name: f for f in names(working)}.values())
        users = [(user_id, read_user(user)) for user_id, user in self.users.all().items()]
        changes = []
        for found in known:
            for user_id, user in users:
                old, new = (outcome(rules, found.kind, user, found.name) for rules in (before, after))
                if old != new:
                    changes.append({"name": found.name, "user": user_id, "old": old, "new": new})
        return changes


def _sides(before: Json, after: Json) -> tuple[Mapping[str, Json], Mapping[str, Json]]:
    """Return two values of a section by name; a value that has no names is under the name `""`."""
    is_named = isinstance(before or {}, dict) and isinstance(after or {}, dict)
    return (before or {}, after or {}) if is_named else ({"": before}, {"": after})


def _parse(text: bytes | None) -> Json:
    """Parse a body.

    Raises:
        CallError: It is not JSON; the error has the line and the column.
    """
    if text is None:
        raise CallError(413, f"the body is larger than {MAX_JSON:,} bytes")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        mistake = {"path": "", "line": error.lineno, "column": error.colno, "text": error.msg}
        raise CallError(400, f"it is not JSON: {error}", errors=[mistake]) from error


def _refuse(mistakes: Sequence[Mistake], text: bytes | None, prefix: str = "") -> None:
    """Raise for mistakes in a body.

    Args:
        mistakes: Their paths are those in the body.
        text: The body.
        prefix: Start of the paths that the error leaves out.

    Raises:
        CallError: There are mistakes; each has path, line, column and text.
    """
    if not mistakes:
        return
    source = (text or b"").decode("utf-8", "replace")
    where = places(source)
    errors = []
    for mistake in mistakes:
        line, column = line_and_column(source, where.get(mistake.path, 0))
        path = mistake.path.removeprefix(prefix) if mistake.path != prefix.rstrip(".") else ""
        errors.append({"path": path, "line": line, "column": column, "text": mistake.text})
    raise CallError(422, mistakes[0].text, errors=errors)


def _spec_of(ruleset: Rules, found: Found) -> Mapping[str, Json] | None:
    spec: Mapping[str, Json] | None = ruleset.get(found.section, {}).get(found.name)
    return spec


def _groups(rules: Ruleset, found: Found) -> list[dict[str, Json]]:
    linker = Linker(rules, ())
    try:
        spec = linker.spec(found.kind, found.name)
    except MalformedError:
        return []
    borders = () if spec is None else group_borders(linker, spec)
    return [{"from": part.start, "to": part.end, "label": part.label} for part in borders]
