"""How long a person waits for an answer that needs no work."""

from __future__ import annotations

from benchmarks.figures import Target, costs_of, time_row
from benchmarks.measure import Entrant
from benchmarks.setting import PEERS, Result, Setting


def help_text(setting: Setting) -> Result:
    """`mnist --help` against the `--help` of the smallest Typer program."""
    ours = Entrant("mnist --help", (*setting.mnist, "--help"))
    peer = Entrant("one-command Typer program --help", setting.python(str(PEERS / "hello_typer.py"), "--help"))
    samples = setting.race(ours, peer)
    row = time_row(f"`{ours.name}` / {peer.name}", samples[ours.name], samples[peer.name], Target(high=1.2))
    return Result([row], costs_of(samples))


def nothing_to_do(setting: Setting) -> Result:
    """`mnist status` and a second `mnist run` on a fresh tree, against importing the libraries they need."""
    tree = setting.scratch / "fresh-tree"
    tree.mkdir()
    setting.run((*setting.mnist, "run", *setting.data.options), tree)
    setting.run((*setting.mnist, "status", "--check", *setting.data.dataset), tree)  # fails unless all is fresh
    status = Entrant("mnist status, all fresh", (*setting.mnist, "status", *setting.data.dataset), tree)
    again = Entrant("mnist run, nothing to do", (*setting.mnist, "run", *setting.data.options), tree)
    libraries = "import typer, rich, pydantic, yaml"
    peer = Entrant(f'python -c "{libraries}"', setting.python("-c", libraries))
    samples = setting.race(status, again, peer)
    rows = [
        time_row(f"`{ours.name}` / `{libraries}`", samples[ours.name], samples[peer.name], Target(high=1.6))
        for ours in (status, again)
    ]
    return Result(rows, costs_of(samples))
