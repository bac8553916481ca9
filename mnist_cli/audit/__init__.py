"""Checks artifacts: verify, repair, clean, and the lock file."""
