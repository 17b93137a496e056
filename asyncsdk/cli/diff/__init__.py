"""The command `asyncsdk diff`: who gets another group or value under other rules, and why."""
