"""A ruleset body to a ruleset, in slices: a generator that yields between pieces of work of at most some 0.3 ms."""

from collections.abc import Generator, Iterator, Mapping
from itertools import chain, islice
from typing import Any, TypeVar

import attrs

from asyncsdk._rules.compiler.linker import SECTIONS
from asyncsdk._rules.json_slicer import iter_members
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.language.specs import MalformedError, parse
from asyncsdk._rules.ruleset import Ruleset

_SECTIONS = frozenset(
    (*SECTIONS.values(), "condition_map", "param_stores", "cmab_configs", "override_rules", "overrides")
)
_SLICE_BYTES = 48_000
_MEMBER_BYTES = 700
_CHUNK_BYTES = 65_536
_ITEMS_PER_STEP = 300
_NEEDS_COUNTRIES = "(countries)"
_IS_FIRST_FORM = "(first form)"
_IP_CONDITION = b'"ip_based"'

Result = TypeVar("Result")


def load(
    body: bytes,
    shared_context: SharedContext,
    *,
    source: str = "Network",
    received_at_ms: int = 0,
    previous: Ruleset | None = None,
) -> Generator[None, None, Ruleset | None]:
    """Turn a body into a ruleset, yielding between slices of at most some 0.3 ms.

    Args:
        body: JSON as downloaded, of either form.
        shared_context: What evaluations know besides.
        source: Where the body came from.
        received_at_ms: When it arrived.
        previous: The ruleset in use: what did not change keeps its compiled form.

    Returns:
        The ruleset; `previous` when the body is the same; None when it says that there is nothing new.

    Raises:
        MalformedError: The body is no ruleset. One malformed spec in it is no reason.
    """
    fingerprint = yield from _fingerprint(body)
    if previous is not None and previous.fingerprint == fingerprint:
        return previous
    sections, facts = yield from _split_sections(body)
    if facts.get("has_updates") is not True:
        return None
    ruleset = Ruleset(
        sections,
        facts,
        _with_defaults(shared_context, facts),
        is_inline=_IS_FIRST_FORM in facts,
        asks_for_countries=_NEEDS_COUNTRIES in facts,
        source=source,
        received_at_ms=received_at_ms,
        fingerprint=fingerprint,
    )
    if previous is not None:
        yield from ruleset.adopt_programs(previous)
    return ruleset


def load_now(body: bytes, shared_context: SharedContext, **options: Any) -> Ruleset | None:
    """Do what `load` does in one go."""
    return run_to_end(load(body, shared_context, **options))


def run_to_end(steps: Generator[None, None, Result]) -> Result:
    """Run steps to their end."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def supersedes(new: Ruleset, current: Ruleset) -> bool:
    """Say whether a ruleset is to replace the one in use: not when it is older, or says that it is the same."""
    if not current.time_ms:
        return True
    if new.time_ms < current.time_ms:
        return False
    return not new.checksum or new.checksum != current.checksum


def release(*rulesets: Ruleset) -> Iterator[None]:
    """Let go of rulesets bit by bit: freeing a big one at once would hold the loop.

    Whoever still holds one of them keeps all of it.
    """
    parts: list[Mapping[str, Any]] = []
    for ruleset in rulesets:
        parts += (*ruleset.sections.values(), *ruleset.tables().values())
        parts += (table for view in ruleset.views.values() for table in view.rules.tables().values())
    held: list[Any] = []
    for part in parts:
        items = chain(part.keys(), part.values())
        while some := list(islice(items, _ITEMS_PER_STEP)):
            held += some
            yield
    # The mappings go first, and then, a few at a time, what only `held` still keeps.
    del rulesets, ruleset, parts, part, items, some
    while held:
        del held[-_ITEMS_PER_STEP:]
        yield


def _with_defaults(shared_context: SharedContext, facts: Mapping[str, Any]) -> SharedContext:
    """Fill in what the ruleset itself says: its default tier and its app."""
    tier = facts.get("default_environment")
    environment = shared_context.environment
    if environment is None and isinstance(tier, str):
        environment = {"tier": tier}
    return attrs.evolve(shared_context, environment=environment, app_id=facts.get("app_id"))


def _fingerprint(body: bytes) -> Generator[None, None, tuple[int, ...]]:
    hashes = [len(body)]
    for start in range(0, len(body), _CHUNK_BYTES):
        # A copy: hashing a view of a part hashes the whole first.
        hashes.append(hash(body[start : start + _CHUNK_BYTES]))
        yield
    return tuple(hashes)


def _split_sections(body: bytes) -> Generator[None, None, tuple[dict[str, dict[str, bytes]], dict[str, Any]]]:
    """Cut a body into its sections, and parse the rest. Marks among the facts are in brackets."""
    sections: dict[str, dict[str, bytes]] = {section: {} for section in _SECTIONS}
    facts: dict[str, Any] = {}
    spent = searched = end = 0
    for section, key, start, end in iter_members(body, _SECTIONS):
        piece = body[start:end]
        if not section:
            facts[_decode_key(key)] = parse(piece, "a field")
        elif key or piece[:1] != b"{":
            sections[section][_decode_key(key)] = piece
        else:
            facts[_IS_FIRST_FORM] = True
            sections[section][_spec_name(piece)] = piece
        spent += end - start + _MEMBER_BYTES
        if spent > _SLICE_BYTES:
            facts |= _scan_for_countries(body, searched, end)
            spent, searched = 0, end
            yield
    return sections, facts | _scan_for_countries(body, searched, end)


def _scan_for_countries(body: bytes, start: int, end: int) -> dict[str, Any]:
    """Say what a part of a body, of whole members, asks for."""
    return {_NEEDS_COUNTRIES: True} if body.find(_IP_CONDITION, start, end) >= 0 else {}


def _decode_key(key: bytes) -> str:
    """Give a raw key as text."""
    return key.decode("utf-8", "replace") if b"\\" not in key else str(parse(b'"' + key + b'"', "a name"))


def _spec_name(piece: bytes) -> str:
    """Give the name inside a spec of the first form, "" when it has none or is not JSON."""
    try:
        fields = parse(piece, "a spec")
    except MalformedError:
        return ""
    name = fields.get("name")
    return name if isinstance(name, str) else ""
