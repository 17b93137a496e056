"""From a spec to a function that answers for a user."""
