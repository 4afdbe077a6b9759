"""Orders: placed and paid by customers, followed to their end by a job that waits for events."""
