"""The way of an event through the spool on disk; a client without a spool uses nothing in here."""
