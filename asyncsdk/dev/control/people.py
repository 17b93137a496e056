"""The calls about users: the named ones, and what they see."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import orjson

from asyncsdk._rules.ruleset import Kind, Ruleset
from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.calls import Call, CallError, Routes, take
from asyncsdk.dev.control.decisions import decide, histogram, read_user, rule_labels, sample_users
from asyncsdk.dev.received_event import Json
from asyncsdk.dev.rulebook import Rulebook
from asyncsdk.dev.ruleset_edits import find, names
from asyncsdk.errors import ConfigurationError

_MAX_USERS = 100
_MAX_SAMPLE = 100_000


@attrs.define(eq=False)
class NamedUsers:
    """Users that a team shares in a file of its repository: an object of users by id.

    Attributes:
        path: The file; None keeps them in memory.
    """

    path: Path | None = None
    _users: dict[str, Json] = attrs.field(factory=dict, init=False)
    _stamp: object = attrs.field(default=None, init=False)

    def load(self) -> None:
        """Read the file.

        Raises:
            ConfigurationError: It cannot be read, or does not contain users.
        """
        if self.path is None or not self.path.exists():
            return
        try:
            users = orjson.loads(self.path.read_bytes())
            self._stamp = self.path.stat().st_mtime_ns
            self._users = checked_users(users)
        except (OSError, orjson.JSONDecodeError, CallError) as error:
            msg = f"the users in {self.path} cannot be read: {error}"
            raise ConfigurationError(msg) from error

    def all(self) -> Mapping[str, Json]:
        """Return the users by id, as the file has them now; a file that is broken leaves those from before."""
        try:
            if self.path is not None and self.path.exists() and self.path.stat().st_mtime_ns != self._stamp:
                self.load()
        except (ConfigurationError, OSError):
            pass
        return self._users

    def keep(self, users: dict[str, Json]) -> None:
        """Replace all users in memory only, until the file changes."""
        self._users = users

    def replace(self, users: Json) -> None:
        """Replace all users, in the file too.

        Raises:
            CallError: They are not users, or the file cannot be written.
        """
        self._users = checked_users(users)
        if self.path is None:
            return
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            beside.write_bytes(orjson.dumps(self._users, option=orjson.OPT_INDENT_2) + b"\n")
            beside.replace(self.path)
            self._stamp = self.path.stat().st_mtime_ns
        except OSError as error:
            raise CallError(500, f"the users cannot be written to {self.path}: {error}") from error


def checked_users(users: Json) -> dict[str, Json]:
    """Return users by id, if they are.

    Raises:
        CallError: They are not.
    """
    if not isinstance(users, dict):
        raise CallError(400, "users are an object: each user's fields by a name for the user")
    for name, user in users.items():
        try:
            read_user(user)
        except CallError as error:
            raise CallError(error.status, f"{name}: {error}", **error.more) from error
    return users


@attrs.frozen(eq=False)
class PeopleCalls:
    """The calls.

    Attributes:
        bench: The state.
        book: The ruleset.
        users: The named users.
    """

    bench: Bench
    book: Rulebook
    users: NamedUsers

    def routes(self) -> Routes:
        """Return the handlers of the calls."""
        return {
            ("GET", "users"): self._get_users,
            ("PUT", "users"): self._put_users,
            ("GET", "evaluate"): self._get_evaluate,
            ("POST", "evaluate"): self._evaluate,
            ("POST", "evaluate/sample"): self._sample,
        }

    async def _get_users(self, _: Call) -> Json:
        return {"users": self.users.all(), "file": str(self.users.path or "")}

    async def _put_users(self, call: Call) -> Json:
        body = await call.object()
        # The answer of GET may be sent back as it is.
        self.users.replace(body["users"] if isinstance(body.get("users"), dict) and "file" in body else body)
        self.bench.changed("users")
        return {"users": self.users.all()}

    async def _get_evaluate(self, call: Call) -> Json:
        ids = [call.query[name] for name in ("user", "vs") if call.query.get(name)]
        return self._decisions([self._named(one) for one in ids or list(self.users.all())[:1]], None)

    async def _evaluate(self, call: Call) -> Json:
        body = await call.object()
        users, wanted = take(body, "users", list), _wanted(body)
        if not users or len(users) > _MAX_USERS:
            raise CallError(400, f"users is a list of 1 to {_MAX_USERS} users, or of ids of named users")
        return self._decisions([self._named(one) if isinstance(one, str) else one for one in users], wanted)

    def _named(self, user_id: str) -> Json:
        return self.users.all().get(user_id, {"user_id": user_id})

    def _decisions(self, users: Sequence[Json], wanted: Sequence[str] | None) -> dict[str, Json]:
        rules = self.book.rules.evaluator().rules
        chosen = self._names(wanted)
        results = []
        for user in map(read_user, users):
            result = {}
            for kind, name, labels in chosen:
                decision = decide(rules, kind, user, name, labels)
                is_known = kind in rules.kinds_of(name)
                result[name] = decision if is_known else {**decision, "kind": "unknown"}
            results.append(result)
        return {"results": results, "users": list(users)}

    def _names(self, wanted: Sequence[str] | None) -> list[tuple[Kind, str, Mapping[str, str]]]:
        """Return kind, name and rule labels of the names that were asked for; by default all, and unknown ones."""
        working = self.book.working
        if wanted is None:
            known = {found.name: found for found in names(working)}
            asked = [name for name in self.bench.asked.names() if name not in known]
            overridden = [o.name for o in self.book.overrides if o.name not in known]
            wanted = [*known, *dict.fromkeys([*asked, *overridden])]
        kinds = {o.name: o.kind for o in self.book.overrides}
        chosen: list[tuple[Kind, str, Mapping[str, str]]] = []
        for name in wanted:
            found = find(working, name)
            kind: Kind = kinds.get(name, "gate") if found is None else found.kind
            chosen.append((kind, name, {} if found is None else rule_labels(found.spec)))
        return chosen

    async def _sample(self, call: Call) -> Json:
        body = await call.object()
        count = take(body, "n", int, 1_000)
        if not 1 <= count <= _MAX_SAMPLE:
            raise CallError(400, f"n is a number from 1 to {_MAX_SAMPLE:,}")
        like = take(body, "like", list)
        patterns = list(self.users.all().values()) if like is None else [self._pattern(one) for one in like]
        rules: Ruleset = self.book.rules.evaluator().rules
        chosen = [(kind, name) for kind, name, _ in self._names(_wanted(body))]
        return {"n": count, "names": await histogram(rules, chosen, sample_users(count, patterns))}

    def _pattern(self, one: Json) -> Mapping[str, Json]:
        fields = self._named(one) if isinstance(one, str) else one
        if not isinstance(fields, dict):
            raise CallError(400, "like is a list of users, or of ids of named users")
        return fields


def _wanted(body: Mapping[str, Json]) -> Sequence[str] | None:
    """Return the names that a call asks for; None for all."""
    wanted: Sequence[str] | None = take(body, "names", list)
    if wanted is not None and not all(isinstance(name, str) for name in wanted):
        raise CallError(400, "names is a list of names")
    return wanted
