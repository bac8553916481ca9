"""Kept runs: record, list, compare, sweep."""
