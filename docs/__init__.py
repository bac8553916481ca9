"""Pages for people to read, and the programs that write the generated ones."""
