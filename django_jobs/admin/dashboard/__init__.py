"""The dashboard: what is wrong, and what mends it."""
