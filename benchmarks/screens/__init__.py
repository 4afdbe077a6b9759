"""How long the admin's screens take above a full database; `python -m benchmarks.screens`."""
