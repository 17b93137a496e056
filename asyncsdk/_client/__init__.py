"""The client: the object that a user creates, and the owner of all tasks."""
