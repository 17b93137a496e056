"""Tables and paragraphs."""

from asyncsdk import DestinationReport, Report
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
