"""The report: one HTML page that shows what was learned, how well, and what to type to get it again."""
