"""The worker: takes jobs, runs them, writes how they ended. Private; start it with `runworker`.

`loop` decides when to look for jobs and writes results; `pools` run them; `execution` turns
what happened into an outcome; `housekeeper` keeps the leases; `supervisor` keeps processes.
"""
