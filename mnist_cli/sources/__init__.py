"""Where the four files come from: web servers, folders, or a generator."""
