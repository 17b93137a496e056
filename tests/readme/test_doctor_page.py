"""The page "My events do not show up": its commands run."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from asyncsdk.cli import main
from asyncsdk.dev import DevServer
from readme.pages import DOCTOR

COMMANDS = re.findall(r"^    asyncsdk (doctor.*?)(?:  +#.*)?$", DOCTOR.read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/events.py").write_text("from asyncsdk import Client\nclient = Client.from_env()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("shop", "shop.events"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with DevServer() as dev:
        monkeypatch.setenv("RUDDERSTACK_WRITE_KEY", "w" * 27)
        monkeypatch.setenv("RUDDERSTACK_URL", dev.url)
        code = main(shlex.split(command))

    assert (code, "the key is accepted" in capsys.readouterr().out) == (0, True)
