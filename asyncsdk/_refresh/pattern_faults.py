"""Log each part of the rules that cannot be used, once, and count the patterns among them."""

import logging

logger = logging.getLogger("asyncsdk")
_MAX_KEPT = 1_000


class PatternFaults:
    """The patterns, and the specs that are too large, that were reported. Lookups may report on any thread.

    Args:
        source: Name of the source of the rules, for the log.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._kept: dict[tuple[str, str], bool] = {}

    @property
    def unsupported(self) -> int:
        """Number of patterns that no engine could match."""
        return sum(list(self._kept.values()))

    def report_too_large(self, name: str, reason: str) -> None:
        """Log a spec that is too large, unless it is known.

        Args:
            name: The spec, such as `gate new_page`.
            reason: What is too large.
        """
        if (name, reason) in self._kept or len(self._kept) >= _MAX_KEPT:
            return
        self._kept[name, reason] = False
        logger.warning("%s: %s is Unsupported: %s", self._source, name, reason)

    def report(self, name: str, pattern: str, fault: str, unsupported: bool) -> None:  # noqa: FBT001 -- a callback
        """Log a pattern, unless it is known.

        Args:
            name: The spec that has it, such as `gate new_page`.
            pattern: The pattern.
            fault: What is wrong with it.
            unsupported: Whether Statsig's package could match it; otherwise it is invalid there too.
        """
        if (name, pattern) in self._kept or len(self._kept) >= _MAX_KEPT:
            return
        self._kept[name, pattern] = unsupported
        if not unsupported:
            text = "%s: %s: pattern %r matches nothing, as in Statsig's SDKs: %s"
            logger.warning(text, self._source, name, pattern, fault)
            return
        from asyncsdk._rules.patterns.matcher import load_re2  # noqa: PLC0415 -- a pattern was reported: it is imported

        remedy = "asyncsdk[re2] (google-re2) takes most patterns: pip install 'asyncsdk[re2]'"
        if load_re2() is not None:
            remedy = "not even the extra re2, which is installed, takes it"
        logger.warning(
            "%s: %s: pattern %r is unsupported, so that what depends on it is Unsupported: %s; %s",
            self._source,
            name,
            pattern,
            fault,
            remedy,
        )
