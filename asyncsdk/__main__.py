"""`python -m asyncsdk` is the command `asyncsdk`."""

import sys

from asyncsdk.cli import main

sys.exit(main())
