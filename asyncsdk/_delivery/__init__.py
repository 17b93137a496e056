"""From an accepted event to its outcome: one lane per destination."""
