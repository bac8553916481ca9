"""What a person types and sees: each command parses, calls one function and prints."""
