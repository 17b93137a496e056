"""Events on their way in: from a verb of the client to the queues of its destinations."""
