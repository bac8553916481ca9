"""Where the four files come from: web servers, folders, or a generator."""

# The source of a file that no mirror provided.
ALREADY_THERE = "already there"
GENERATED = "generated"
