"""What the report and the lesson have in common: pages in one file, with their style, their scripts and a policy."""
