"""Imports: a file of customers becomes rows, in steps that can be watched, stopped and repeated."""
