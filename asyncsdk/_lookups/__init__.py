"""Lookups: from a verb of the client to the result, and to the exposure that it reports."""
