"""What a platform of functions does: import a file, call its handler for each line, and print what it returns."""

import importlib
import json
import sys

handler = importlib.import_module("function").handler
sys.stdout.write("ready\n")
sys.stdout.flush()
for line in sys.stdin:
    sys.stdout.write(json.dumps(handler(json.loads(line), None)) + "\n")
    sys.stdout.flush()
