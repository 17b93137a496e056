"""Show who gets another group or value under other rules, and why.

  asyncsdk diff old.json new.json --users users.ndjson
  asyncsdk diff statsig rules.json --users users.json --names 'checkout*'

OLD and NEW are files with rules, URLs of dev servers or of proxies, or
"statsig": the project of the key in STATSIG_SECRET_KEY. Users are JSON lines
with Statsig's names for fields (userID) or Python's (user_id), a JSON list, or
an object of users by name; "-" reads them from standard input. Both rulesets
are evaluated at the same time of day, without ID lists. Values of private
attributes are not shown.

Exit code: 0 if no user gets another group or value, 1 if one does, 2 for bad
input.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase

from asyncsdk._rules.ruleset import Ruleset
from asyncsdk.cli._decision import asks_for_id_lists
from asyncsdk.cli._progress import progress_bar
from asyncsdk.cli._rich_tables import table_for
from asyncsdk.cli._terminal import escape, fail
from asyncsdk.cli._users import UsersError, read_users
from asyncsdk.cli.codegen.source import SourceError, read_rules
from asyncsdk.cli.diff.compare import plan
from asyncsdk.cli.diff.report import as_json, as_text
from asyncsdk.cli.diff.tasks import Circumstances

SUMMARY = "show who gets another group or value under other rules"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("old", metavar="OLD", help='rules as they are: file, URL or "statsig"')
    parser.add_argument("new", metavar="NEW", help="rules as they will be")
    parser.add_argument("--users", required=True, metavar="FILE", help="the users, see above")
    parser.add_argument(
        "--names",
        action="append",
        default=[],
        metavar="PATTERN",
        help="compare these names only, such as 'shop*' (repeatable)",
    )
    parser.add_argument("--show", type=int, default=3, metavar="N", help="users to explain for each name (default: 3)")
    parser.add_argument("--environment", metavar="TIER", help="tier of the environment (default: the rules' own)")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes to use (default: more than 1 if it takes long)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the result, and return the exit code."""
    if arguments.show < 0:
        return fail("diff", "--show is a number of users, at least 0")
    if arguments.jobs is not None and arguments.jobs < 1:
        return fail("diff", "--jobs is a number of processes, at least 1")
    environment = None if arguments.environment is None else {"tier": arguments.environment}
    circumstances = Circumstances(int(time.time() * 1000), environment)
    context = circumstances.shared_context()
    try:
        old, new = read_rules(arguments.old, context), read_rules(arguments.new, context)
        users = read_users(arguments.users)
    except (SourceError, UsersError) as error:
        return fail("diff", str(error))
    if unmatched := _unmatched(arguments.names, old, new):
        return fail("diff", f"--names {unmatched}: no ruleset has such a name")
    if asks_for_id_lists(old, new):
        print("asyncsdk diff: the rules ask for ID lists, which count as empty here", file=sys.stderr)
    planned = plan((old, new), users, lambda name: _is_wanted(name, arguments.names), arguments.show)
    with progress_bar("compare", planned.steps) as advance:
        diff = planned.run(circumstances, arguments.jobs, advance)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 120
    print(as_json(diff) if arguments.json else as_text(diff, table_for(sys.stdout, os.environ), width))
    return 1 if diff.changed_users else 0


def _is_wanted(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _unmatched(patterns: Sequence[str], old: Ruleset, new: Ruleset) -> str:
    """Return the first pattern that no name matches; "" if there is none."""
    sections = ("feature_gates", "dynamic_configs", "layer_configs", "param_stores", "cmab_configs")
    names = {name for rules in (old, new) for section in sections for name in rules.names(section)}
    return next((escape(one) for one in patterns if not any(fnmatchcase(name, one) for name in names)), "")
