"""The control API of the dev server, under `/__dev/`: what its page, its commands and tests read and change.

`bench.py` is the state, `router.py` finds the handler of a request, and each other module has the handlers of one part.
`search.py`, `rows.py` and the modules that they import are pure. `openapi.json` documents every call.
"""
