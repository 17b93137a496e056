"""The ruleset that is served: that of the source, with the edits and overrides of this session.

    source (a file, or a value)  --edits-->  working copy  --overrides-->  served version

Both edits and overrides are kept in memory only, until `write` writes the working copy to the file. When the file
changes, names that were not edited take what it has now; edited ones keep their edit.

Without edits and overrides the source is served as it is, byte for byte in its own format.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import orjson

from asyncsdk.dev.received_event import Json
from asyncsdk.dev.ruleset_edits import Override, Ruleset, served
from asyncsdk.dev.ruleset_formats import CONVERSIONS, SECTIONS, TABLE
from asyncsdk.dev.ruleset_versions import Version, next_version
from asyncsdk.dev.statsig_rules import ServedRules

_MERGED = (*SECTIONS, TABLE)


@attrs.define(eq=False)
class Rulebook:
    """The source, the working copy and the overrides.

    Attributes:
        rules: What the rules server serves; this class alone changes its version.
        overrides: Values that are served instead of what the rules say, newest first.
        path: The file of the source; None without one.
    """

    rules: ServedRules
    overrides: Sequence[Override] = attrs.field(default=(), init=False)
    path: Path | None = attrs.field(default=None, init=False)
    _source: Version = attrs.field(init=False)
    _original: Ruleset = attrs.field(init=False)
    _working: Ruleset = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin with what is served."""
        self._source = self.rules.version
        self._original = self._working = _as_v2(self._source)

    @property
    def working(self) -> Ruleset:
        """The working copy, in the form of v2."""
        return self._working

    @property
    def original(self) -> Ruleset:
        """The source, in the form of v2."""
        return self._original

    @property
    def differs(self) -> bool:
        """Whether the working copy differs from the source."""
        return self._working != self._original

    def load(self, version: Version, *, keep_edits: bool) -> None:
        """Use a new source, and serve it.

        Args:
            version: The source.
            keep_edits: Whether names that were edited keep their edit.
        """
        original = _as_v2(version)
        self._working = _merged(self._original, self._working, original) if keep_edits else original
        self._source, self._original = version, original
        self._serve(version)

    def edit(self, working: Ruleset) -> None:
        """Replace the working copy, and serve it."""
        self._working = working
        self._serve()

    def override(self, override: Override) -> None:
        """Set an override; it replaces that of the same name and user."""
        others = [one for one in self.overrides if _target(one) != _target(override)]
        self.overrides = [override, *others]
        self._serve()

    def remove_overrides(self, name: str | None = None, user: str | None = None, *, any_user: bool = True) -> int:
        """Remove overrides, and return how many.

        Args:
            name: The name; None removes those of all names.
            user: The user, if not `any_user`; None is the override for all users.
            any_user: Whether to remove those of all users.
        """
        kept = [o for o in self.overrides if name not in (None, o.name) or not (any_user or o.user == user)]
        removed = len(self.overrides) - len(kept)
        self.overrides = kept
        self._serve()
        return removed

    def restore(self, original: Ruleset, working: Ruleset, overrides: Sequence[Override]) -> None:
        """Make the edits that led from one ruleset to another again, and set overrides."""
        self._working = _merged(original, working, self._original)
        self.overrides = overrides
        self._serve()

    def revert(self) -> None:
        """Drop all edits: the working copy is the source again."""
        self.edit(self._original)

    def write(self) -> Path:
        """Write the working copy to the file, in the file's format.

        Raises:
            OSError: It cannot be written; the file is as it was.
        """
        if self.path is None:
            msg = "the ruleset has no file: start the server with --ruleset FILE"
            raise FileNotFoundError(msg)
        ruleset = CONVERSIONS["v2", self._source.format](self._working)
        body = orjson.dumps(ruleset, option=orjson.OPT_INDENT_2) + b"\n"
        # Beside the file, then renamed: a reader, or a crash, never finds half of it.
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            beside.write_bytes(body)
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)
        return self.path

    def preview(self, working: Ruleset) -> bytes:
        """Return the body that would be served for another working copy."""
        return next_version(_body(working, self.overrides), None).body("v2")

    def _serve(self, version: Version | None = None) -> None:
        if not self.overrides and not self.differs:
            self.rules.version = version or next_version(self._source.raw, self.rules.version)
        else:
            self.rules.version = next_version(_body(self._working, self.overrides), self.rules.version)


def _as_v2(version: Version) -> Ruleset:
    return CONVERSIONS[version.format, "v2"](version.ruleset)


def _body(working: Ruleset, overrides: Sequence[Override]) -> bytes:
    ruleset: Mapping[str, Json] = served(working, overrides)
    return orjson.dumps({key: value for key, value in ruleset.items() if key not in ("checksum", "has_updates")})


def _target(override: Override) -> tuple[str, str, str | None]:
    return override.kind, override.name, override.user


def _merged(before: Ruleset, edited: Ruleset, after: Ruleset) -> Ruleset:
    """Return the new source with the edits that were made to the one before."""
    merged = dict(after)
    for section in _MERGED:
        old, mine = before.get(section, {}), edited.get(section, {})
        result = dict(after.get(section, {}))
        for name in {*old, *mine}:
            if mine.get(name) != old.get(name):
                result.pop(name, None)
                if name in mine:
                    result[name] = mine[name]
        merged[section] = result
    return merged
