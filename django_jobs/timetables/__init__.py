"""When a schedule is due: `cron()` and `every()`, in the wall clock of a time zone. Pure: no database.

`cron` parses a text whose `fields` it checks; a `timetable` steps through its times; `wall_clocks` knows what a
change of the clocks does to them; `planning` says what is due after a gap; `wording` says a rule in words.
"""
