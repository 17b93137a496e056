"""What a user holds, and what owns the tasks."""
