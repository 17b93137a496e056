"""Example services, one runnable file per framework."""
