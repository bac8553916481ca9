"""The corpora of wrong input at a small count; `python -m tests.corpora` has the large ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.corpora import configuration, hdf5, idx, mirrors, records, text
from tests.corpora.tally import Tally
from tests.fuzz import targets

Attack = Callable[[Path, int], Iterator[Tally]]

ATTACKS: dict[str, tuple[Attack, int]] = {
    "idx": (idx.attack, 150),
    "hdf5": (hdf5.attack, 60),
    "records": (records.attack, 150),
    "configuration": (configuration.attack, 150),
    "mirrors": (mirrors.attack, 10),
    "text": (text.attack, 1),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ATTACKS)
def test_no_wrong_input_is_used_and_none_ends_in_another_error(tmp_path: Path, name: str) -> None:
    attack, count = ATTACKS[name]
    tallies = list(attack(tmp_path, count))
    assert tallies
    for tally in tallies:
        assert tally.holds, f"{tally.attack}: {tally.examples}"
        assert tally.refused or "before an honest one" in tally.attack


@pytest.mark.parametrize("name", targets.TARGETS)
def test_what_fuzzing_starts_from_is_accepted_and_what_is_made_of_it_no_finding(tmp_path: Path, name: str) -> None:
    for seed in targets.seeds(name):
        for content in (seed, seed[:-1], seed * 2, seed.replace(b"0", b"1"), b""):
            targets.TARGETS[name](tmp_path, content)


def test_a_tally_tells_what_must_not_be_from_what_may() -> None:
    tally = Tally("test")
    tally.attempt("harmless", "x", lambda: True)
    assert tally.holds
    tally.attempt("read as something else", "x", lambda: False)
    tally.attempt("another error", "x", lambda: bool(1 / 0))
    assert (tally.tried, tally.harmless, tally.accepted, tally.crashed) == (3, 1, 1, 1)
    assert not tally.holds
