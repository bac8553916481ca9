"""What the report and the lesson share: pages in one file, with their style, their scripts and a policy."""
