"""A lookup's way."""
