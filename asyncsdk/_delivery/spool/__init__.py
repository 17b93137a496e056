"""The way over the disk: nothing here exists for a client without a spool."""
