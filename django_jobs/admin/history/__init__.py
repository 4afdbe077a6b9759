"""What was, as charts and tables."""
