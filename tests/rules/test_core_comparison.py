"""A fuzzer: random rulesets in both implementations. Differences must be rows of `known_differences`.

`ASYNCSDK_FUZZ_SEEDS=5000 pytest -s tests/rules/test_core_comparison.py` compares a million results, in about ten
minutes; `ASYNCSDK_FUZZ_FIRST_SEED` continues where another run ended.
"""

import os
from collections import Counter
from importlib.metadata import version

import pytest

from rules import known_differences

pytest.importorskip("statsig_python_core")
from rules.core_comparison import EXPLAINED, Comparison, explanations

SEEDS = int(os.environ.get("ASYNCSDK_FUZZ_SEEDS", "40"))
FIRST_SEED = int(os.environ.get("ASYNCSDK_FUZZ_FIRST_SEED", "0"))
USERS = 5
pytestmark = pytest.mark.oracle


@pytest.mark.timeout(100 + SEEDS)
def test_random_rulesets_answer_alike_or_as_listed(capsys: pytest.CaptureFixture[str]) -> None:
    count, rows, unexplained = 0, Counter[str](), []
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        comparison = Comparison(seed)
        for difference in comparison.run(USERS):
            explained = explanations(comparison, difference)
            rows.update(explained)
            if not explained:
                unexplained.append(f"seed {seed}, {difference}")
        count += comparison.count
    with capsys.disabled():
        print(  # noqa: T201 -- CI shows which version was the oracle
            f"\n{count:,} results equal those of statsig-python-core {version('statsig-python-core')}, but for {rows}"
        )

    assert unexplained == []
    assert count > 150 * SEEDS


@pytest.mark.parametrize("row", EXPLAINED)
def test_every_explanation_is_a_row_of_the_list(row: str) -> None:
    assert f"\n| {row} | " in str(known_differences.__doc__)
