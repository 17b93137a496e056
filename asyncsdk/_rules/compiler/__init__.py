"""The compiler: from a spec to a function that evaluates it for a user."""
