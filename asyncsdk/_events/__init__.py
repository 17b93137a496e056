"""An event's way in."""
