"""What holds artifacts to their word: verify, repair, the lock file."""
