"""The programs that the toolkit is compared with, each a script of its own."""
