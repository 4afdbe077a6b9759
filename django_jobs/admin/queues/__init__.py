"""The page of all queues, and that of one."""
