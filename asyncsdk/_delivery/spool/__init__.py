"""The path of an event through the spool on disk; only for clients with a spool."""
