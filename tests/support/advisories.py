"""`python -m tests.support.advisories`: is a vulnerability known in a version that constraints.txt pins?

One question to OSV (https://google.github.io/osv.dev/post-v1-querybatch/), which collects the advisories of PyPI and
GitHub. pip-audit asks the same, and would bring 28 more packages to pin; requests is here already.
"""

from __future__ import annotations

import sys
from pathlib import Path

import requests

from tests.support import ROOT

SERVICE = "https://api.osv.dev/v1/querybatch"
CONSTRAINTS = ROOT / "constraints.txt"
_TIMEOUT = 10  # seconds for a connection, and for the answer


def pins(constraints: Path = CONSTRAINTS) -> dict[str, str]:
    """Return name → exact version, as constraints.txt says it."""
    lines = (line.partition("#")[0].strip() for line in constraints.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==") for line in lines if line)


def known_vulnerabilities(pinned: dict[str, str], service: str = SERVICE) -> dict[str, list[str]]:
    """Ask the service; return `name version` → the advisories that concern it.

    Raises:
        requests.RequestException: it cannot be reached, or answers something else.
    """
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in pinned.items()]
    answer = requests.post(service, json={"queries": queries}, timeout=_TIMEOUT)
    answer.raise_for_status()
    document = answer.json()
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list) or len(results) != len(queries):
        raise requests.RequestException("the answer is not one to the question")
    found = {}
    for (name, version), result in zip(pinned.items(), results, strict=True):
        if advisories := [entry["id"] for entry in result.get("vulns", [])]:
            found[f"{name} {version}"] = advisories
    return found


def main(service: str = SERVICE) -> int:
    """Print what is known; return 1 if something is, 0 if nothing is or nobody could be asked."""
    pinned = pins()
    try:
        found = known_vulnerabilities(pinned, service)
    except requests.RequestException as error:
        print(f"not audited: {service.split('/')[2]} cannot be asked ({type(error).__name__})")
        return 0
    for package, advisories in found.items():
        print(f"{package}: {', '.join(advisories)}")
    print(f"{len(pinned)} pinned packages, {len(found)} with known vulnerabilities")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
