"""The demo from end to end, and its parts that do IO."""

import io
import re

import aiohttp
import attrs
import pytest

from asyncsdk import Client
from asyncsdk.cli import main
from asyncsdk.cli._progress import Progress
from asyncsdk.cli.demo.audit import audit
from asyncsdk.cli.demo.command import print_report, run_phases, should_be_bold
from asyncsdk.cli.demo.recorder import Recorder
from asyncsdk.cli.demo.scenario import Phase, Visit, browse
from asyncsdk.cli.demo.simulation import Simulation
from asyncsdk.dev import DevServer


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def row(text: str, name: str) -> list[str]:
    """Return the first row of any table that begins with `name`."""
    return next(re.split(r"  +", line.strip()) for line in text.splitlines() if line.startswith(f"  {name}  "))


@pytest.fixture(scope="module")
def printed() -> tuple[int, str, str]:
    """Run the whole demo once."""
    with pytest.MonkeyPatch.context() as context:
        out, err = io.StringIO(), io.StringIO()
        context.setattr("sys.stdout", out)
        context.setattr("sys.stderr", err)
        context.delenv("ASYNCSDK_DEV_SERVER", raising=False)
        context.setenv("COLUMNS", "80")
        return main(["demo"]), out.getvalue(), err.getvalue()


def test_everything_adds_up(printed: tuple[int, str, str]) -> None:
    code, out, _ = printed

    assert code == 0
    assert "All 363 events are accounted for" in out
    assert "All 65 exposures are accounted for, too" in " ".join(out.split())


def test_each_phase_prints_a_line(printed: tuple[int, str, str]) -> None:
    _, _, err = printed

    assert re.findall(r"^  (\d)/7", err, re.MULTILINE) == list("1234567")
    assert "log: RudderStack: status 503; retrying with backoff" in err


def test_every_fault_shows_at_its_vendor(printed: tuple[int, str, str]) -> None:
    _, out, _ = printed
    _, _, _, accepted, duplicate, rejected, lost, retried = range(8)

    rudderstack, amplitude, statsig = (row(out, name) for name in ("RudderStack", "Amplitude", "Statsig"))
    assert (rudderstack[accepted], amplitude[accepted], statsig[accepted]) == ("347", "353", "275")
    assert statsig[duplicate:] == ["0", "0", "0", "0"]
    assert rudderstack[rejected] == "0"
    for shown in (
        *(rudderstack[column] for column in (duplicate, lost, retried)),
        *(amplitude[column] for column in (duplicate, rejected, lost, retried)),
    ):
        assert int(shown) > 0
    assert "lost: status 503" in out
    assert "lost: status 429" in out


def test_the_tables_show_what_each_verb_became(printed: tuple[int, str, str]) -> None:
    _, out, _ = printed

    assert row(out, "group") == ["group", "8", "8 group", "8 group identify", "-"]
    assert row(out, "log_event {...}") == ["log_event {...}", "9", "9 track", "8 Kiosk Sale", "9 Kiosk Sale"]
    assert row(out, "rejected: id too short") == ["rejected: id too short", "0", "1", "0", "0"]
    assert row(out, "skipped: no such call") == ["skipped: no such call", "0", "8", "72", "0"]


def test_a_change_of_the_rules_is_printed(printed: tuple[int, str, str]) -> None:
    _, out, err = printed

    assert re.search(r"       rules: 6 gates, 1 config, 2 experiments, 1 layer, in use after \d\.", err)
    assert re.search(r"log: Statsig rules: status 503; .*\n +rules: sale changed, in use after \d\.\d s\n", err)
    assert row(out, "config  prices            default")[-1] == "6"
    assert row(out, "config  prices            sale")[-1] == "8"


def test_exposures_have_rows_of_their_own(printed: tuple[int, str, str]) -> None:
    _, out, _ = printed

    assert row(out, "  exposures")[2:] == ["65", "65", "0", "0", "0", "-"]
    assert row(out, "delivered") == ["delivered", "347", "353", "275", "65"]
    assert row(out, "gate    free_shipping     true, benelux")[-1] == "1"


def test_one_decision_is_explained(printed: tuple[int, str, str]) -> None:
    _, out, _ = printed

    assert "  sale: open (rule then all, Network:Recognized)\n    - rule first the regulars\n" in out


def test_the_history_of_one_event_is_quoted(printed: tuple[int, str, str]) -> None:
    _, out, _ = printed

    assert "middleware changed properties['email']" in out
    assert re.search(r"RudderStack: \d+ bytes\n.*status 503\n(.*\n)*? +delivered \(200\), attempt \d", out)


def test_no_line_is_wider_than_a_small_terminal(printed: tuple[int, str, str]) -> None:
    _, out, err = printed

    assert [line for line in (out + err).splitlines() if len(line) >= 80] == []


def test_the_demo_does_not_start_with_another_dev_server_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", "http://127.0.0.1:4010")

    assert main(["demo"]) == 2
    assert "env -u ASYNCSDK_DEV_SERVER asyncsdk demo" in capsys.readouterr().err


async def test_a_terminal_gets_a_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()

    evidence, quotes = await run_phases([Phase("a stroll", browse("ada.lovelace"))], Progress(terminal))

    assert audit(evidence) == []
    assert quotes == {}
    assert "\r\x1b[K  1/1  a stroll  0 of 5" in terminal.getvalue()


def test_a_file_gets_lasting_lines_only() -> None:
    file = io.StringIO()

    Progress(file).show("on the way")
    Progress(file).print_line("there")

    assert file.getvalue() == "there\n"


async def test_an_error_answer_of_the_shop_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    phase = Phase("a mistake", [Visit("GET", "/products/unicorn", "ada.lovelace", events=0)])

    evidence, quotes = await run_phases([phase], Progress(io.StringIO()))

    assert print_report(evidence, quotes, 79) == 1
    assert "- the shop answered 400 to /products/unicorn" in capsys.readouterr().out


async def test_a_missing_event_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    phase = Phase("too much expected", [Visit("GET", "/products/lamp", "ada.lovelace", events=2)])

    evidence, quotes = await run_phases([phase], Progress(io.StringIO()))

    assert print_report(evidence, quotes, 79, bold=True) == 1
    assert "\x1b[1mThe numbers do not add up:\n" in capsys.readouterr().out


async def test_a_missing_exposure_is_a_problem() -> None:
    phase = Phase("too much expected", [attrs.evolve(browse("ada.lovelace")[1], lookups=["prices", "unknown"])])

    evidence, _ = await run_phases([phase], Progress(io.StringIO()))

    assert audit(evidence) == [
        "lookups without an exposure: 1",
        "exposures without a lookup: 1",
    ]


async def test_rules_that_do_not_arrive_are_a_problem() -> None:
    recorder = Recorder()
    async with DevServer() as server, aiohttp.ClientSession() as http:
        simulation = Simulation(http, server, Client(), recorder, Progress(io.StringIO()), rules_timeout=0.01)

        await simulation.wait_for_rules()

    assert recorder.failures == ["new rules were not in use within 0.01 s"]


async def test_a_shop_that_does_not_answer_is_a_problem() -> None:
    recorder = Recorder()
    async with DevServer() as stopped:
        url = stopped.url
    async with aiohttp.ClientSession(url) as http:
        simulation = Simulation(http, stopped, Client(), recorder, Progress(io.StringIO()))

        await simulation.run_phase(Phase("no shop", [Visit("GET", "/", "ada.lovelace")], flush=False), "1/1")

    assert recorder.failures == ["the shop did not answer /: ClientConnectorError"]


def test_bold_is_for_terminals_without_no_color() -> None:
    assert should_be_bold(Terminal(), {})
    assert not should_be_bold(Terminal(), {"NO_COLOR": "1"})
    assert not should_be_bold(io.StringIO(), {})
