"""Patterns match what statsig-python-core matches, with the extra `re2` and without."""

from collections.abc import Sequence
from typing import Any
from unicodedata import unidata_version

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncsdk._rules.patterns.errors import UnsupportedPatternError
from asyncsdk._rules.patterns.matcher import compile_pattern, load_re2
from rules.oracle import Oracle, as_core
from rules.pattern_cases import ODD, PLAUSIBLE, TEXTS
from rules.patterns import EVIL, generated_patterns, pattern_texts
from rules.rulesets import field, gate, rule, ruleset

pytestmark = pytest.mark.oracle
Cases = Sequence[tuple[str, Sequence[str]]]
CASES: Cases = [(pattern, [*texts, "x", f"é{texts[0]}"]) for pattern, texts in PLAUSIBLE.items()] + [
    (pattern, TEXTS) for pattern in ODD
]
# Only the vendor's package knows these.
UNSUPPORTED = {
    r"\p{Nope}", r"\p{Alphabetic}", r"\p{Emoji}", "(?P=n)", r"\k<n>", r"()\2", r"\1", r"\0", "(?(1)a|b)", "(?P>n)",
    r"\p{scx=Greek}", r"\p{sc=Lu}", r"\p{script=Any}", r"\p{gc=Greek}", r"\K{2}", r"(?<=\b?)a", "(?<=a+)b",
}  # fmt: skip
# Without the tables of RE2.
WITHOUT_RE2 = UNSUPPORTED | {r"\p{Han}", r"^\p{Greek}+$", r"\p{Latin}", r"\p{sc=Cyrillic}", r"\p{sc=Greek}"}


def core_answers(cases: Cases) -> list[list[bool]]:
    gates = {f"g{number}": gate(rule("r", [field("s", "str_matches", one)])) for number, (one, _) in enumerate(cases)}
    oracle = Oracle(ruleset(gates))
    try:
        return [
            [oracle.client.check_gate(as_core({"userID": "u", "custom": {"s": text}}), f"g{number}") for text in texts]
            for number, (_, texts) in enumerate(cases)
        ]
    finally:
        oracle.close()


@pytest.fixture(scope="module")
def answers() -> list[list[bool]]:
    return core_answers(CASES)


def unsupported_of(cases: Cases, answers: list[list[bool]], re2: Any) -> set[str]:
    """Compare all answers, and return the patterns that have none here."""
    unsupported = set()
    for (pattern, texts), expected in zip(cases, answers, strict=True):
        find = compile_pattern(pattern, re2=re2)
        assert find is not None
        for text, theirs in zip(texts, expected, strict=True):
            try:
                assert (pattern, text, find(text)) == (pattern, text, theirs)
            except UnsupportedPatternError:
                unsupported.add(pattern)
    return unsupported


def test_there_are_many_patterns() -> None:
    assert len(CASES) >= 200
    assert len(PLAUSIBLE) >= 70


def test_patterns_match_alike_with_re2(answers: list[list[bool]]) -> None:
    assert unsupported_of(CASES, answers, load_re2()) == UNSUPPORTED


def test_patterns_match_alike_without_re2(answers: list[list[bool]]) -> None:
    assert unsupported_of(CASES, answers, None) == WITHOUT_RE2


def test_evil_patterns_match_alike_with_re2() -> None:
    cases = [(pattern, ["a", "aaaa", "ab", "abc", "x" * 60 + "y", "1.2", "a b", "aaB", "c", ""]) for pattern in EVIL]

    assert unsupported_of(cases, core_answers(cases), load_re2()) == set()


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(generated_patterns, st.lists(pattern_texts, min_size=8, max_size=8)), min_size=25, max_size=25)
)
def test_generated_patterns_match_alike(cases: list[tuple[str, list[str]]]) -> None:
    answers = core_answers(cases)
    for re2 in (load_re2(), None):
        unsupported_of(cases, answers, re2)


def test_letters_are_those_of_this_pythons_unicode() -> None:
    # U+019B has had an upper case since Unicode 16, which Rust's tables have.
    for re2 in (load_re2(), None):
        find = compile_pattern(r"(?i)\p{Lu}", re2=re2)
        assert find is not None
        assert find("\u019b") is (unidata_version >= "16")
