"""Tables and paragraphs."""

from asyncsdk import DestinationReport, Report
from asyncsdk.cli._tables import paragraph, table
from asyncsdk.cli.demo.audit import Books, Seen
from asyncsdk.cli.demo.report import chapters


def test_numbers_stand_right_and_text_left() -> None:
    assert table(("name", "n", "why"), [("a", 1234, "x"), ("lengthy", 5, "")]).splitlines() == [
        "  name         n  why",
        "  -------  -----  ---",
        "  a        1,234  x",
        "  lengthy      5",
    ]


def test_a_dash_among_numbers_stands_right() -> None:
    assert table(("name", "n"), [("a", 12), ("b", "-")]).splitlines()[2:] == ["  a     12", "  b      -"]


def test_a_paragraph_hangs_below_its_first_line() -> None:
    assert paragraph("one two three", 9).splitlines() == ["  one two", "    three"]


def test_a_word_wider_than_the_terminal_stays_whole() -> None:
    assert paragraph("http://127.0.0.1:4010/", 9) == "  http://127.0.0.1:4010/"


def test_a_day_without_refusals_has_no_table_of_them() -> None:
    report = Report({"Vendor": DestinationReport()}, 0.1, complete=True)
    books = Books(0, {}, {"Vendor": []}, report, {"Vendor": Seen(0, [])})

    assert not any("not accepted because" in text for _, text in chapters(books, {}, 79))
