"""Tables and paragraphs."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk import DestinationReport, Report
from asyncsdk.cli._rich_tables import draw_table, is_terminal, table_for
from asyncsdk.cli._tables import paragraph, table
from asyncsdk.cli.demo.audit import Arrivals, Evidence
from asyncsdk.cli.demo.report import sections


def test_numbers_are_aligned_right_and_text_left() -> None:
    assert table(("name", "n", "why"), [("a", 1234, "x"), ("lengthy", 5, "")]).splitlines() == [
        "  name         n  why",
        "  -------  -----  ---",
        "  a        1,234  x",
        "  lengthy      5",
    ]


def test_a_dash_among_numbers_is_aligned_right() -> None:
    assert table(("name", "n"), [("a", 12), ("b", "-")]).splitlines()[2:] == ["  a     12", "  b      -"]


def test_later_lines_of_a_paragraph_are_indented_more() -> None:
    assert paragraph("one two three", 9).splitlines() == ["  one two", "    three"]


def test_a_word_wider_than_the_terminal_is_not_split() -> None:
    assert paragraph("http://127.0.0.1:4010/", 9) == "  http://127.0.0.1:4010/"


def test_without_rejected_events_there_is_no_table_of_reasons() -> None:
    report = Report({"Vendor": DestinationReport()}, 0.1, complete=True)
    evidence = Evidence(0, {}, {"Vendor": []}, report, {"Vendor": Arrivals(0, [])})

    assert not any("not accepted because" in text for _, text in sections(evidence, {}, 79))


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


HEAD = ("vendor", "requests", "events", "accepted", "duplicate", "rejected", "lost", "retried")


def test_a_cell_that_is_too_wide_is_wrapped_between_words() -> None:
    assert table(("name", "why"), [("a", "one two three four"), ("b", "five")], 16).splitlines() == [
        "  name  why",
        "  ----  --------",
        "  a     one two",
        "        three",
        "        four",
        "  b     five",
    ]


def test_a_table_of_too_many_columns_is_turned() -> None:
    turned = table(HEAD, [("RudderStack", 1, 2, 3, 4, 5, 6, 7), ("  exposures", 8, 9, 10, 11, 12, 13, "-")], 59)

    assert turned.splitlines()[:3] == [
        "  vendor     RudderStack  exposures",
        "  ---------  -----------  ---------",
        "  requests             1          8",
    ]


def test_a_word_that_is_too_wide_is_broken_at_last() -> None:
    assert table(("a",), [("x" * 12,)], 9).splitlines() == ["  a", "  -------", "  xxxxxxx", "  xxxxx"]


@given(st.lists(st.tuples(st.text("ab ", max_size=30), st.text("cd ", max_size=30), st.integers(0)), max_size=5))
def test_no_line_is_wider_than_asked(rows: list[tuple[str, str, int]]) -> None:
    rows = [(a, b, number % 10_000) for a, b, number in rows]

    assert all(len(line) <= 40 for line in table(("one", "two", "three"), rows, 40).splitlines())


def test_rich_draws_the_same_cells() -> None:
    drawn = draw_table(("name", "n"), [("a", 1234), ("[b]", "-")], 40)

    assert "\x1b" not in drawn
    assert [[cell.strip() for cell in line.split("│")[1:-1]] for line in drawn.splitlines() if "│" in line] == [
        ["name", "n"],
        ["a", "1,234"],
        ["[b]", "-"],
    ]


def test_rich_turns_a_table_that_is_too_wide() -> None:
    drawn = draw_table(HEAD, [("RudderStack", 1, 2, 3, 4, 5, 6, 7)], 59)

    assert "│ requests  │           1 │" in drawn


def test_rich_draws_on_a_terminal_only() -> None:
    assert table_for(Terminal(), {"TERM": "xterm"}) is draw_table
    assert table_for(Terminal(), {"TERM": "dumb"}) is table
    assert table_for(io.StringIO(), {"TERM": "xterm"}) is table


def test_without_rich_or_unicode_tables_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ascii(Terminal):
        encoding = "ascii"

    assert table_for(Ascii(), {}) is table
    monkeypatch.setitem(sys.modules, "rich", None)
    assert table_for(Terminal(), {}) is table


def test_a_dumb_terminal_gets_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    from asyncsdk.cli._progress import Progress

    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    progress = Progress(terminal)

    progress.show("on the way")
    progress.print_line("there")

    assert not is_terminal(terminal, {"TERM": "dumb"})
    assert terminal.getvalue() == "there\n"


def test_a_lasting_line_is_wrapped_at_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from asyncsdk.cli._progress import Progress

    monkeypatch.setenv("COLUMNS", "12")
    stream = io.StringIO()

    Progress(stream).print_line("  one two three\n")

    assert stream.getvalue() == "  one two\n    three\n\n"
