"""Strategies of patterns."""

from hypothesis import strategies as st

# Each can be read in exponentially many ways.
EVIL = [
    "(a+)+$", "(a|aa)+$", r"^(\w+\s?)*$", "(x{1,50}){2,}y", "^(a{1,3})*$", "(a?b?)+c", "(a*)*b", "(.*a){20,}b", "^(([a-z])+.)+[A-Z]$",
    "(a|b|ab)*c", r"^(?:\d+|\d\.?)+$", "((a|b)*)+$", "(?:a*b*)*c", "(a+a+)+b",
]  # fmt: skip

_ATOMS = st.sampled_from(
    ["a", "b", "1", r"\.", ".", "[ab]", "[^a]", r"\d", r"\w", r"\s", r"\b", "^", "$", "é", "[a-z&&[^b]]", "[[:alpha:]]", r"\p{L}", "(?i)", "(?:A|b)", r"\x{61}", "-"]
)  # fmt: skip
_QUANTIFIERS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,3}", "{,2}", "{2,}", "*?", "+?", "{0}", "{3"])


def _extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = st.tuples(st.sampled_from(["(", "(?:", "(?i:", "(?<n>", "(?s:"]), inner).map(
        lambda part: f"{part[0]}{part[1]})"
    )
    return st.one_of(
        st.tuples(group, _QUANTIFIERS).map("".join),
        st.lists(inner, min_size=1, max_size=3).map("|".join),
        st.lists(inner, min_size=1, max_size=4).map("".join),
    )


generated_patterns = st.recursive(st.tuples(_ATOMS, _QUANTIFIERS).map("".join), _extend, max_leaves=10)
pattern_texts = st.text("aAbB1.- \n\u00e9\u00c9_z\u0663", max_size=12)
