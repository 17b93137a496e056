"""Values: users, events, receipts, reports. No clock, no task, no IO."""
