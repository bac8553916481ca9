"""`python -m tests.fuzz idx --seconds 600`: mutate good inputs for as long as is asked, guided by coverage.

Needs atheris (`pip install atheris`), which is not among the dependencies: hypothesis does the same job, unguided, in
the tests. Findings are written to `--findings`, as files that `--replay FILE` runs again without atheris. Exit code 0:
nothing found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

NAMES = ("idx", "configuration", "map", "manifest")


def main() -> None:
    """Run one target until the time is over, or until it finds something."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--replay", type=Path, help="run this one input and stop")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mnist-fuzz-") as scratch:
        if options.replay:
            from tests.fuzz.targets import TARGETS

            TARGETS[options.target](Path(scratch), options.replay.read_bytes())
        else:
            _fuzz(options.target, options.seconds, options.findings, Path(scratch))


def _fuzz(name: str, seconds: int, findings: Path, scratch: Path) -> None:
    try:
        import atheris
    except ImportError:
        sys.exit("tests.fuzz needs atheris: pip install atheris")
    # Only our own code is instrumented: to find new ways through NumPy or pydantic is not what this is for.
    with atheris.instrument_imports(include=["mnist_cli"]):
        from tests.fuzz.targets import TARGETS, seeds
    corpus = scratch / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(content)
    findings.mkdir(parents=True, exist_ok=True)
    target = TARGETS[name]
    flags = [f"-max_total_time={seconds}", "-max_len=8192", "-timeout=10", "-rss_limit_mb=1024"]
    flags += ["-print_final_stats=1", "-verbosity=1", f"-artifact_prefix={findings}/{name}-"]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], lambda content: target(scratch, content))
    atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    main()
