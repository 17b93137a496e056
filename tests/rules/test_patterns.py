"""Patterns of rules: which engine takes them, what happens where none does, and how long they take."""

import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from time import thread_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsdk._refresh.pattern_faults import PatternFaults
from asyncsdk._rules.patterns.categories import category_ranges
from asyncsdk._rules.patterns.errors import UnsupportedPatternError
from asyncsdk._rules.patterns.matcher import Matcher, compile_pattern, load_re2
from asyncsdk._rules.patterns.spelling import Alphabet, alphabet_of, spell_python
from asyncsdk._rules.patterns.steps import bound, is_anchored, longest
from asyncsdk._rules.patterns.syntax import parse
from asyncsdk._rules.patterns.universe import ascii_universe
from rules.patterns import EVIL, generated_patterns
from rules.rulesets import condition, field, gate, loaded, make_context, passes, rule, ruleset, user

WITH_RE2 = pytest.param(load_re2(), id="re2")
WITHOUT = pytest.param(None, id="re")
either_engine = pytest.mark.parametrize("re2", [WITH_RE2, WITHOUT])


def compiled(pattern: str, re2: Any = None) -> Matcher:
    found = compile_pattern(pattern, re2=re2)
    assert found is not None
    return found


@pytest.mark.parametrize("pattern", EVIL)
def test_without_re2_a_pattern_that_could_block_the_loop_is_unsupported(pattern: str) -> None:
    with pytest.raises(UnsupportedPatternError, match="exponentially"):
        compiled(pattern)("a")


@pytest.mark.parametrize("pattern", EVIL)
def test_with_re2_no_pattern_blocks_the_loop(pattern: str) -> None:
    started = thread_time()

    compiled(pattern, load_re2())("a" * 50_000 + "!")

    assert thread_time() - started < 2


SLOW = [
    "a*a*a*a*b", ".*.*.*x", r"^.*@x\.com$", "(.*)(.*)(.*)[^a]$", "x{2,1000}y", "^(a{1,12}){1,12}b", "a?" * 30 + "a" * 30 + "b",
    "(a|a)" * 30 + "b", "(a{0,12}){12}b", "((a*){5}){5}b", "(" * 40 + "a*b" + "){12}" * 40, r"(?=.*a.*b)(?=.*b)c", r"(a*)\1b",
    "[a-z]+@", r"\w+\.\w+", "(?:a|b|ab)c*d*e", "(a|aa)" * 9 + "b",
]  # fmt: skip


@either_engine
@pytest.mark.parametrize("pattern", SLOW)
def test_no_text_makes_a_pattern_slow(pattern: str, re2: Any) -> None:
    for length in (20, 29, 80, 200, 1_000, 2_000, 100_000, 200_000):
        started = thread_time()
        with suppress(UnsupportedPatternError):
            compiled(pattern, re2)("a" * length)
        assert thread_time() - started < 2


def counted_steps(pattern: str, text: str) -> int:
    """Count the ways in which beginnings of a text can be read from its first character, one by one."""
    from asyncsdk._rules.patterns.steps import _Automaton

    automaton = _Automaton(Alphabet(ascii_universe(None), is_ascii=True))
    ways, steps = dict(automaton.read(parse(pattern)).first), 0
    for char in text:
        ways = {place: count for place, count in ways.items() if automaton.members[place] >> ord(char) & 1}
        steps += sum(ways.values())
        following: dict[int, int] = {}
        for place, count in ways.items():
            for after, more in automaton.edges[place].items():
                following[after] = following.get(after, 0) + count * more
        ways = following
    return steps


@settings(max_examples=300, deadline=None)
@given(generated_patterns, st.text("ab1.", max_size=60))
def test_the_bound_of_a_pattern_holds_for_every_text(pattern: str, text: str) -> None:
    try:
        ways, loops = bound(parse(pattern), Alphabet(ascii_universe(None), is_ascii=True), anchored=True)
    except Exception:  # noqa: BLE001 -- unsupported or invalid: nothing is run
        return
    length, steps = max(len(text), 10), counted_steps(pattern, text)
    factorial = [1, 1, 2, 6, 24, 120][loops] if loops < 6 else 10**9
    assert loops >= 6 or steps <= ways * (length + loops) ** loops / factorial


@settings(max_examples=200, deadline=None)
@given(generated_patterns, st.sampled_from("ab1."), st.integers(1, 3000))
def test_generated_patterns_take_bounded_time(pattern: str, char: str, length: int) -> None:
    for re2 in (None, load_re2()):
        started = thread_time()
        with suppress(UnsupportedPatternError):
            compiled(pattern, re2)(char * length + "!")
        assert thread_time() - started < 2


def test_a_bound_is_tight_where_alternatives_exclude_each_other() -> None:
    alphabet = Alphabet(ascii_universe(None), is_ascii=True)
    node = parse(r"^([a-z0-9-]+\.)+example\.com$")

    assert bound(node, alphabet, anchored=is_anchored(node)) == (2, 1)
    assert longest(2, 1) == 100_000


def test_a_text_too_long_for_a_pattern_is_unsupported_not_false() -> None:
    find = compiled("^.*a.*b.*c")

    assert find("xaxbxc") is True
    with pytest.raises(UnsupportedPatternError, match="2000 characters"):
        find("x" * 2_000)


@either_engine
def test_a_lone_surrogate_counts_as_a_question_mark(re2: Any) -> None:
    assert compiled(r"^\?é$", re2)("\ud800é") is True
    assert compiled(r"\bé", re2)("\ud800é") is True


@either_engine
@pytest.mark.parametrize("pattern", ["a(", "a)b", "a{5,2}", "[", "(?a)", r"\y", "*", "(" * 65 + "a" + ")" * 65])
def test_an_invalid_pattern_matches_nothing_and_is_reported(pattern: str, re2: Any) -> None:
    reports: list[Any] = []

    find = compiled(pattern, re2).reporting_to(lambda *report: reports.append(report))

    assert (find("a"), find("é")) == (False, False)
    assert [(name, unsupported) for name, _, unsupported in reports] == [(pattern, False)]


def test_a_fault_is_reported_after_the_pattern_was_used_too() -> None:
    reports: list[Any] = []
    find = compiled("^.*a.*b.*c")

    assert find("abc") is True
    find.reporting_to(lambda *report: reports.append(report))
    assert reports == []
    with pytest.raises(UnsupportedPatternError):
        find("x" * 2_000)
    assert len(reports) == 1


def test_a_loop_of_too_many_alternatives_is_refused_undecided() -> None:
    assert compiled("^(a|b|c)*$")("abcabc") is True
    with pytest.raises(UnsupportedPatternError, match="exponentially"):
        compiled("^(" + "|".join("abcdefghijklmnopqrstuvwxyz0123456789") + ")*$")("abc")


def test_a_pattern_of_very_many_different_classes_still_matches() -> None:
    find = compiled("^" + "".join(f"[{chr(0x400 + step)}-{chr(0x500 + step)}]" for step in range(250)))

    assert (find("\u0500" * 250), find("\u0500" * 249)) == (True, False)


def test_the_package_re2_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)  # as if it were not installed

    assert load_re2.__wrapped__() is None


def test_a_target_that_is_no_text_matches_nothing() -> None:
    assert compile_pattern(5) is None
    assert compile_pattern(None) is None


@pytest.mark.parametrize(
    "pattern", ["x" * 10_001, "a{9999999}", r"(?(1)a)", r"\1", r"(?i)(a)\1", r"\p{Nope}", "(?:(a)\\1)+"]
)
def test_what_neither_engine_takes_is_unsupported(pattern: str) -> None:
    with pytest.raises(UnsupportedPatternError):
        compiled(pattern, load_re2())("aa")


def test_a_pattern_that_none_can_handle_is_analysed_once() -> None:
    matcher = compiled("(?:" + "".join(f"{chr(97 + n % 26)}?" for n in range(140)) + ")*x")
    times = []
    for _ in range(3):
        started = thread_time()
        with pytest.raises(UnsupportedPatternError):
            matcher("aa")
        times.append(thread_time() - started)

    assert max(times[1:]) < times[0] / 10


HARD = r"^(?:(a)\1)+$"
GATES = {
    "closed": gate(rule("r", [field("s", "str_matches", HARD)])),
    "inverted": gate(rule("r", [condition("fail_gate", None, "closed")])),
    "nested": gate(rule("r", [passes("closed")])),
    "elsewhere": gate(rule("r", [field("s", "str_matches", HARD), field("plan", "any", ["pro"])]), rule("all", [])),
    "bad": gate(rule("r", [field("s", "str_matches", "(")])),
    "good": gate(rule("r", [field("s", "str_matches", r"^([a-z0-9-]+\.)+example\.com$")])),
}


@pytest.fixture
def reports() -> Iterator[list[Any]]:
    return iter([[]]).__next__()


def test_a_gate_with_an_unsupported_pattern_is_unsupported(reports: list[Any]) -> None:
    rules = loaded(ruleset(GATES), make_context(report_pattern=lambda *report: reports.append(report)))
    ann = user({"userID": "a", "custom": {"s": "aa"}})

    assert {name: rules.gate(ann, name).outcome for name in ("closed", "inverted", "nested")} == dict.fromkeys(
        ("closed", "inverted", "nested"), "Unsupported"
    )
    assert {(name, unsupported) for name, _, _, unsupported in reports} == {("gate closed", True)}


def test_an_unsupported_pattern_matters_only_where_the_rest_of_its_rule_holds() -> None:
    rules = loaded(ruleset(GATES))

    assert rules.gate(user({"custom": {"s": "aa", "plan": "free"}}), "elsewhere").rule_id == "all"
    assert rules.gate(user({"custom": {"s": "aa", "plan": "pro"}}), "elsewhere").outcome == "Unsupported"
    assert rules.gate(user({"custom": {"plan": "pro"}}), "elsewhere").rule_id == "all"


def test_an_explanation_shows_an_unsupported_pattern_as_unknown() -> None:
    from asyncsdk._rules.explain import explain

    rules = loaded(ruleset(GATES))

    assert '? s "aa" str_matches' in explain(rules, "gate", user({"custom": {"s": "aa"}}), "closed").render()


def test_without_the_extra_one_warning_names_gate_pattern_and_extra() -> None:
    code = """
import sys; sys.modules["re2"] = None  # as if it were not installed
import asyncio, logging
from asyncsdk import Client, Rules, Statsig, User
logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout)
def gate(pattern):
    condition = {"type": "user_field", "field": "s", "operator": "str_matches", "targetValue": pattern}
    rule = {"id": "r", "conditions": [condition], "returnValue": True, "passPercentage": 100}
    return {"name": "g", "rules": [rule], "enabled": True, "defaultValue": False, "salt": "", "type": "feature_gate"}
RULES = {"has_updates": True, "time": 1, "dynamic_configs": [], "layer_configs": []}
RULES["feature_gates"] = [{**gate("^(a|aa)+$"), "name": "evil"}, {**gate(r"^([a-z]+\\.)+com$"), "name": "good"}]
async def main():
    async with Client(Statsig("secret-key", rules=Rules(bootstrap=RULES), offline=True)) as client:
        for text in ("aaa", "a.com", "aa"):
            found = await client.get_gate(User("u", custom={"s": text}), "evil")
            print(found.details.reason, await client.check_gate(User("u", custom={"s": text}), "good"))
        print(client.health().rules.unsupported_patterns)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    lines = done.stdout.splitlines()

    assert [line for line in lines if "Bootstrap" in line] == [
        f"Bootstrap:Unsupported {good}" for good in (False, True, False)
    ]
    [warning] = [line for line in lines if line.startswith("WARNING")]
    assert "gate evil" in warning
    assert "'^(a|aa)+$'" in warning
    assert "asyncsdk[re2]" in warning
    assert lines[-1] == "1"


@either_engine
@pytest.mark.parametrize(
    ("pattern", "matches", "fails"),
    [
        (r"^\p{LC}$", "a", "1"),
        ("^a{1500}$", "a" * 1500, "a" * 1499),
        ("^a{1200,}$", "a" * 1300, "a" * 1199),
        ("^a{1,2500}$", "a" * 2500, "a" * 2501),
        ("(?x)a # to the end", "a", "b"),
        ("^a{}$", "a{}", "a"),
        ("(?<=(a|bc))x", "bcx", "cx"),
        ("^(abcdefghijklmnopqrstuvwxyz){0,999999}$", "abcdefghijklmnopqrstuvwxyz", "abc"),
    ],
)
def test_rare_syntax_matches_alike_in_both_engines(re2: Any, pattern: str, matches: str, fails: str) -> None:
    assert (compiled(pattern, re2)(matches), compiled(pattern, re2)(fails)) == (True, False)


@either_engine
@pytest.mark.parametrize(
    "pattern",
    ["(?#", "[a-", "[a[b]-", "a{1,9999999}", "(?<=a+)b", r"\g<1>", "[[]a]", "[A-[]]", f"(?<={'(?:a|bc)' * 6})b"],
)
def test_what_is_not_known_matches_nothing_or_is_unsupported(re2: Any, pattern: str) -> None:
    with suppress(UnsupportedPatternError):
        assert compiled(pattern, re2)("ab") is False


def test_an_unsupported_pattern_without_re2_names_the_extra_to_install(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)  # as if it were not installed
    load_re2.cache_clear()
    try:
        PatternFaults("Statsig").report("gate g", "(a)\\1", "why", True)
    finally:
        load_re2.cache_clear()

    assert "pip install 'asyncsdk[re2]'" in caplog.text


def test_faults_of_patterns_are_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    faults = PatternFaults("Statsig")

    for _ in range(2):
        faults.report("gate g", "(a)\\1", "why", True)
        faults.report("gate g", "(", "why", False)

    assert faults.unsupported == 1
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "gate g" in caplog.text
    assert "re2" in caplog.text


@pytest.mark.parametrize(
    "pattern", [r"^\w+@\w+\.com$", "(?i)^hello$", r"(?i)\p{L}+é", r"\bfoo\b", r"\p{Lowercase}x", "[^a-z]x"]
)
def test_the_first_text_beyond_ascii_stops_the_loop_for_milliseconds(pattern: str) -> None:
    code = f"""
import time
from asyncsdk._rules.patterns.matcher import compile_pattern
match = compile_pattern({pattern!r}, re2=None)
match("x")
began = time.process_time()
match("é")
print(time.process_time() - began)
"""
    taken = [
        float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout) for _ in range(2)
    ]

    assert min(taken) < 0.06  # 150 ms and more with a table of all characters; 5 ms on a quiet machine


def test_the_categories_are_those_of_unicode_16() -> None:
    ranges = sorted((low, high, name) for name, found in category_ranges().items() for low, high in found)
    known = [(low, high, name) for low, high, name in ranges if name != "Cn" and high < 0xE0000]

    assert [low for low, _, _ in ranges] == [0, *(high + 1 for _, high, _ in ranges[:-1])]
    different = sum(unicodedata.category(chr(n)) != name for low, high, name in known[::5] for n in (low, high))
    assert different < 150  # characters that are younger than this Python's Unicode, and a few that were changed


@settings(deadline=None, max_examples=30)
@given(st.text(max_size=8), st.sampled_from([r"^\w+$", r"(?m)^é$", r"[^x\n]", r"(?i)straße", r"\p{Lu}\b", r"(.)\1"]))
def test_letters_make_no_difference(text: str, pattern: str) -> None:
    node, text = parse(pattern), f"{text}é".encode(errors="replace").decode()
    in_characters = re.compile(spell_python(node, alphabet_of(node, None, is_ascii=False)))

    assert compiled(pattern)(text) == (in_characters.search(text) is not None)


def test_a_text_of_very_many_characters_still_matches() -> None:
    assert compiled(r"\w!$")("".join(map(chr, range(0x3400, 0x3400 + 11_000))) + "!")


def test_only_a_ruleset_with_a_pattern_imports_them() -> None:
    code = """
import sys, asyncio, orjson
from asyncsdk import Client, Rules, Statsig
def loaded(): return "asyncsdk._rules.patterns.matcher" in sys.modules
async def start(operator):
    condition = {"type": "user_field", "field": "email", "operator": operator, "targetValue": "a"}
    rule = {"id": "r", "name": "r", "salt": "s", "idType": "userID", "passPercentage": 100, "returnValue": True, "conditions": [condition]}
    gate = {"name": "g", "type": "feature_gate", "entity": "feature_gate", "salt": "s", "enabled": True, "defaultValue": False, "rules": [rule]}
    rules = orjson.dumps({"has_updates": True, "time": 1, "feature_gates": [gate], "dynamic_configs": [], "layer_configs": []})
    async with Client(Statsig("secret-k", rules=Rules(bootstrap=rules), offline=True)):
        return loaded()
print(loaded(), asyncio.run(start("eq")), asyncio.run(start("str_matches")))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.split() == ["False", "False", "True"]
