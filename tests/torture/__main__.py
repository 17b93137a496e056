"""Kill processes that have promised events, and count what is missing.

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
    parser.add_argument("--processes", type=int, default=1, help="number of processes that share the folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, default=Path("/dev/null"), help="file for the logs of the workers")
    options = parser.parse_args()
    with options.log.open("a") as log:
        results = asyncio.run(Oracle(options.kills, options.processes, options.seed, log.fileno()).run())
    print(results)  # noqa: T201 -- the result of the command
    return 0 if results.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
