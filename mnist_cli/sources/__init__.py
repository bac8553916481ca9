"""Where the four files come from: web servers, folders, or a generator."""

# What a file is from where no mirror gave it.
ALREADY_THERE = "already there"
GENERATED = "generated"
