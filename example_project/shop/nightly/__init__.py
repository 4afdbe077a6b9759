"""The nightly report: what the shop did in a day, counted by schedules and mailed to its owner."""
