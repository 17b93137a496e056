"""Kill processes that have promised events, for as long as you like, and count what is missing.

python tests/torture --kills 2000
python tests/torture --kills 200 --processes 8     # all in one folder
"""

import argparse
import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from torture.oracle import Oracle


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1, help="how many share the folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, default=Path("/dev/null"), help="where the workers log to")
    options = parser.parse_args()
    with options.log.open("a") as log:
        accounts = asyncio.run(Oracle(options.kills, options.processes, options.seed, log.fileno()).run())
    print(accounts)  # noqa: T201 -- that is what it is for
    return 0 if accounts.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
