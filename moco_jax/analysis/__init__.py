"""Reading finished runs: intervals and ties, ceilings, tables, and the report to look at."""
