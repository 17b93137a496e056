"""Turns the body of a download into a `Ruleset`, and frees rulesets, in steps of at most about 0.3 ms.

A body of some megabytes would block the event loop for tens of milliseconds if it were parsed at once. The functions
here are generators that yield after each step instead; `CooperativeRunner` runs them on the loop, and `run_to_end`
runs them without one. `load` has three phases:

1. Fingerprint the body. The same body as before ends here: a proxy that ignores `sinceTime` sends it on every poll.
2. Cut it into raw slices by section and name, and parse only the small top-level fields ("facts"). A body that is not
   a complete ruleset ends here (`completeness`).
3. Adopt the compiled programs of the previous ruleset whose slices did not change.

Nothing that is shared is changed before `load` returns, so a caller may stop at any yield.

Example:
    steps = load(body, context, previous=current)
    for _ in steps:       # what `run_to_end` and `CooperativeRunner.run` do; they also return the result
        ...               # other work
"""

from collections.abc import Generator, Iterator, Mapping
from itertools import chain, islice
from typing import Any

import attrs

from asyncsdk._rules.completeness import FACTS, SPEC_SECTIONS, TYPED_SECTIONS, check_complete
from asyncsdk._rules.json_slicer import iter_members
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.language.specs import MalformedError, parse
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._rules.sliced import run_to_end

_SECTIONS = frozenset(TYPED_SECTIONS)
# A step of cutting ends after `_STEP_BYTES` of body, where each member counts `_MEMBER_BYTES` more than its length.
_STEP_BYTES = 48_000
_MEMBER_BYTES = 700
_CHUNK_BYTES = 65_536
"""Bytes hashed in one step."""
_ITEMS_PER_STEP = 300
"""Objects freed in one step."""
_MAX_FACT_BYTES = 262_144
"""Maximum size of a fact, which is parsed in one step."""

# Findings of the cut, kept among the facts. The parentheses keep them apart from fields of the body.
_NEEDS_COUNTRIES = "(countries)"
_NEEDS_PATTERNS = "(patterns)"
_IS_V1 = "(v1)"
_NEEDS = {b'"ip_based"': _NEEDS_COUNTRIES, b'"str_matches"': _NEEDS_PATTERNS}
"""Words of a body, and what a ruleset with them needs: its conditions look at the country or match a pattern."""


def load(
    body: bytes,
    shared_context: SharedContext,
    *,
    source: str = "Network",
    received_at_ms: int = 0,
    previous: Ruleset | None = None,
    is_handmade: bool = True,
) -> Generator[None, None, Ruleset | None]:
    """Build a ruleset from a body, yielding between steps of at most about 0.3 ms.

    Args:
        body: JSON as downloaded, in either format (v1 or v2).
        shared_context: Context of all evaluations; the body may supply a default environment and an app.
        source: Origin of the body, as in evaluation reasons.
        received_at_ms: When it was received, in milliseconds since 1970.
        previous: The ruleset in use, from which unchanged programs are adopted; None if there is none.
        is_handmade: Whether the short form is enough, as a person writes it; else the body must be a complete download.

    Returns:
        The ruleset; `previous` itself if the body is the same; None if the body says that nothing is new.

    Raises:
        MalformedError: The body is not a ruleset, or not a complete one. A malformed spec inside does not raise; it
            affects its own name only.
    """
    fingerprint = yield from _fingerprint(body)
    if previous is not None and previous.fingerprint == fingerprint:
        return previous
    sections, facts, types = yield from _split_sections(body)
    if facts.get("has_updates") is False:
        return None
    check_complete(types, facts, is_handmade=is_handmade)
    ruleset = Ruleset(
        sections,
        facts,
        _with_defaults(shared_context, facts),
        is_inline=_IS_V1 in facts,
        needs_countries=_NEEDS_COUNTRIES in facts,
        needs_patterns=_NEEDS_PATTERNS in facts,
        source=source,
        received_at_ms=received_at_ms,
        fingerprint=fingerprint,
    )
    if previous is not None:
        yield from ruleset.adopt_programs(previous)
    return ruleset


def load_now(body: bytes, shared_context: SharedContext, **options: Any) -> Ruleset | None:
    """Build a ruleset from a body without yielding. Takes the arguments of `load`."""
    return run_to_end(load(body, shared_context, **options))


def supersedes(new: Ruleset, current: Ruleset) -> bool:
    """Return whether a ruleset should replace the one in use."""
    # 1. The current one has no time: anything is better. 2. Older: no. 3. The same checksum: no; without one, yes.
    if not current.time_ms:
        return True
    if new.time_ms < current.time_ms:
        return False
    return not new.checksum or new.checksum != current.checksum


def release(*rulesets: Ruleset) -> Iterator[None]:
    """Free rulesets in steps: freeing a large one at once would block the event loop.

    The caller must drop its own references before it runs the steps: while a reference to a ruleset exists, nothing of
    it is freed.
    """
    parts: list[Mapping[str, Any]] = []
    for ruleset in rulesets:
        parts += (*ruleset.sections.values(), *ruleset.tables().values())
        parts += (table for view in ruleset.views.values() for table in view.rules.tables().values())
    contents: list[Any] = []
    for part in parts:
        items = chain(part.keys(), part.values())
        while batch := list(islice(items, _ITEMS_PER_STEP)):
            contents += batch
            yield
    # Freeing the mappings is cheap now, because `contents` still refers to all that is in them. It is freed last, a
    # few objects at a time.
    del rulesets, ruleset, parts, part, items, batch
    while contents:
        del contents[-_ITEMS_PER_STEP:]
        yield


def _with_defaults(shared_context: SharedContext, facts: Mapping[str, Any]) -> SharedContext:
    """Return the context with what the ruleset supplies: its app, and its default tier unless the client has one."""
    tier = facts.get("default_environment")
    environment = shared_context.environment
    if environment is None and isinstance(tier, str):
        environment = {"tier": tier}
    return attrs.evolve(shared_context, environment=environment, app_id=facts.get("app_id"))


def _fingerprint(body: bytes) -> Generator[None, None, tuple[int, ...]]:
    hashes = [len(body)]
    for start in range(0, len(body), _CHUNK_BYTES):
        # A copy of the chunk: hashing a memoryview of it would hash the whole body first.
        hashes.append(hash(body[start : start + _CHUNK_BYTES]))
        yield
    return tuple(hashes)


_Cut = tuple[dict[str, dict[str, bytes]], dict[str, Any], dict[str, bytes]]


def _split_sections(body: bytes) -> Generator[None, None, _Cut]:
    """Cut a body, yielding between steps.

    Returns:
        The raw members of each section by name; the facts, which are other fields, parsed; and the first byte of the
        value of each field that evaluations use, which tells its type.

    Raises:
        MalformedError: The body is not a JSON object, or has one of these fields twice.
    """
    sections: dict[str, dict[str, bytes]] = {section: {} for section in _SECTIONS}
    facts: dict[str, Any] = {}
    types: dict[str, bytes] = {}
    spent = searched = end = 0
    for member in iter_members(body, _SECTIONS):
        if member is None:
            yield
            continue
        section, key, start, end = member
        piece = body[start:end]
        # Cases: 1. a top-level field; 2. a member of an object, or not a spec at all; 3. a spec in a list (v1).
        if not section:
            _add_field(facts, types, _decode_key(key), piece)
        elif key or piece[:1] != b"{":
            sections[section][_decode_key(key)] = piece
        else:
            sections[section][(yield from _spec_name(piece))] = piece
        spent += end - start + _MEMBER_BYTES
        if spent > _STEP_BYTES:
            facts |= _scan_for_needs(body, searched, end)
            spent, searched = 0, end
            yield
    is_v1 = {_IS_V1: True} if any(types.get(section) == b"[" for section in SPEC_SECTIONS) else {}
    return sections, facts | is_v1 | _scan_for_needs(body, searched, end), types


def _add_field(facts: dict[str, Any], types: dict[str, bytes], name: str, piece: bytes) -> None:
    """Add a top-level field to the facts and types if evaluations use it: others may be of any type and size."""
    if name in types:
        msg = f"the ruleset has `{name}` twice"
        raise MalformedError(msg)
    if name in FACTS or name in _SECTIONS:
        types[name] = piece[:1]
    if name in FACTS:
        if len(piece) > _MAX_FACT_BYTES:
            msg = f"`{name}` of the ruleset is larger than {_MAX_FACT_BYTES:,} bytes"
            raise MalformedError(msg)
        facts[name] = parse(piece, f"`{name}` of the ruleset")


def _scan_for_needs(body: bytes, start: int, end: int) -> dict[str, Any]:
    """Return what a part of the body needs, as facts."""
    return {need: True for word, need in _NEEDS.items() if body.find(word, start, end) >= 0}


def _decode_key(key: bytes) -> str:
    """Return a raw key as text."""
    return key.decode("utf-8", "replace") if b"\\" not in key else str(parse(b'"' + key + b'"', "a name"))


def _spec_name(piece: bytes) -> Generator[None, None, str]:
    """Return the name inside a spec of v1; "" if it has none or is not JSON."""
    try:
        for member in iter_members(piece, frozenset()):
            if member is None:
                yield
            elif member[1] == b"name":
                name = parse(piece[member[2] : member[3]], "a name")
                return name if isinstance(name, str) else ""
    except MalformedError:
        pass
    return ""
