"""A shop whose orders and events are one transaction, with two relays: `python -m asyncsdk.examples.fleet`."""
