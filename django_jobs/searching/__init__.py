"""Finding jobs: what people type, read into criteria, and looked for in a bounded part of the table.

`terms` and `criteria` are pure; `matching` turns criteria into conditions, `surveying` decides how
far a search looks and counts what it sees.
"""
