"""The page "Test your application": its files are a test suite that passes as printed."""

import re

import pytest

from asyncsdk.testing import FakeClient
from readme.pages import TESTING, blocks

pytest_plugins = ["pytester"]

OPTIONS = ("-q", "-p", "no:asyncsdk", "-p", "asyncsdk.testing.pytest_plugin", "-p", "no:cacheprovider", "-W", "error")
ASYNCIO = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")


def test_the_tests_of_the_page_pass(pytester: pytest.Pytester) -> None:
    files = {block.splitlines()[0].removeprefix("# "): block for block in blocks(TESTING)}
    for name, text in files.items():
        pytester.path.joinpath(name).write_text(text)

    result = pytester.runpytest_subprocess(*OPTIONS, *ASYNCIO)

    result.assert_outcomes(
        passed=sum(len(re.findall(r"^(?:async )?def test_", text, re.MULTILINE)) for text in files.values())
    )
    assert len(files) == len(blocks(TESTING))


async def test_the_failure_on_the_page_is_printed() -> None:
    fake = FakeClient()
    for _ in range(2):
        await fake.track("ada", "Order Completed", {"sku": "lamp"})

    with pytest.raises(AssertionError) as error:
        fake.assert_tracked("Order Completed", user="ada", sku="table")

    shown = "\n".join(f"    {line}" for line in str(error.value).splitlines()[:3])
    assert shown in TESTING.read_text()
