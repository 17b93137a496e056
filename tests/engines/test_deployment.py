"""The files of `examples/fleet/deploy`, which users paste: they parse, and what they name exists."""

import argparse
import shlex
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

import asyncsdk
from asyncsdk.cli import relay
from asyncsdk.engines import Memory
from asyncsdk.relay import Relay
from asyncsdk.relay import relay as relay_module
from asyncsdk.relay.monitoring import Monitoring

DEPLOY = Path(asyncsdk.__file__).parent / "examples/fleet/deploy"
PAGE = (Path(asyncsdk.__file__).parent / "engines/README.md").read_text()


def unit() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "asyncsdk-relay@.service")
    return parser


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


def kubernetes() -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def container() -> Any:
    (found,) = kubernetes()[1]["spec"]["template"]["spec"]["containers"]
    return found


COMMANDS: list[list[str]] = [
    shlex.split(unit()["Service"]["ExecStart"].replace("%i", "1").removeprefix("/opt/shop/venv/bin/")),
    *(compose()[name]["command"] for name in ("migrate", "relay")),
    kubernetes()[0]["spec"]["template"]["spec"]["containers"][0]["command"],
    container()["command"],
]


def parse(command: list[str]) -> argparse.Namespace:
    assert command[:2] == ["asyncsdk", "relay"]
    parser = argparse.ArgumentParser(exit_on_error=False)
    relay.configure(parser)
    return parser.parse_args(command[2:])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_flags_of_a_command_exist(command: list[str]) -> None:
    arguments = parse(command)

    assert arguments.target[-1] == "shop.events:client"
    assert arguments.listen is None or relay.parse_address(arguments.listen)


def test_a_relay_gets_the_time_that_it_needs_to_close() -> None:
    needed = parse(container()["command"]).close_timeout + 2 * relay_module._TO_RELEASE
    pod = kubernetes()[1]["spec"]["template"]["spec"]
    graces = [
        pod["terminationGracePeriodSeconds"],
        int(compose()["relay"]["stop_grace_period"].removesuffix("s")),
        int(unit()["Service"]["TimeoutStopSec"]),
    ]

    assert all(needed < grace <= needed + 10 for grace in graces)
    assert {parse(command).close_timeout for command in COMMANDS if "migrate" not in command} == {20.0}


def test_the_paths_of_probes_are_served() -> None:
    destination = asyncsdk.RudderStack("k", "http://127.0.0.1:9")
    served = Monitoring(Relay(destination, engine=Memory()), "127.0.0.1", 0)._runner.app.router
    paths = {route.resource.canonical for route in served.routes() if route.resource is not None}
    probes = [container()[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]

    assert {probe["path"] for probe in probes} <= paths
    assert {probe["port"] for probe in probes} == {port["name"] for port in container()["ports"]}
    assert kubernetes()[1]["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"] in paths
    assert any(path in str(compose()["relay"]["healthcheck"]["test"]) for path in paths)


def test_readiness_and_liveness_ask_different_questions() -> None:
    paths = [container()[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")]

    assert paths == ["/healthz", "/readyz"]


def test_exit_codes_are_those_of_the_command() -> None:
    assert unit()["Service"]["Restart"] == "on-failure"
    assert unit()["Service"]["RestartPreventExitStatus"] == "2"


@pytest.mark.process
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    text = (DEPLOY / "asyncsdk-relay@.service").read_text().replace("/opt/shop/venv/bin/asyncsdk", "/bin/true")
    file = tmp_path / "asyncsdk-relay@1.service"
    file.write_text(text.replace("/opt/shop", "/"))
    found = subprocess.run(["systemd-analyze", "verify", str(file)], check=False, capture_output=True, text=True)

    assert (found.returncode, found.stderr) == (0, "")


def test_the_page_links_to_every_file() -> None:
    for file in DEPLOY.iterdir():
        assert f"../examples/fleet/deploy/{file.name}" in PAGE
