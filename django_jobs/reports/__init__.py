"""What people are told: read in a few bounded queries, put into words, never written.

`overview` gathers what the dashboard shows and `verdict` judges it; `explaining` says why a job does not run;
`queues`, `workers`, `errors` and `history` stand behind one screen each, `closeup` behind the page of a job.
"""
