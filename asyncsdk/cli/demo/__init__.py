"""The demo: a shop whose vendors fail in turn, and an audit of every event.

`command` runs it: `scenario` says what happens, `simulation` makes it happen, `recorder` records what the client
reports, `audit` compares that with what arrived at the vendors, and `report` formats the results. The last two are
pure.
"""
