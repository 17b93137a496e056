"""From an admitted event to its fate: one lane per destination."""
