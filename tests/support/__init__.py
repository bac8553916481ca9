"""What several test modules need: data, servers, references, ways to run a command."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
