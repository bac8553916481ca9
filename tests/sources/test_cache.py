"""Shared downloads, and fetching without the web."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mnist_cli.errors import FetchError, UsageError
from mnist_cli.files import sha256_of
from mnist_cli.sources.mirrors import listed_mirrors, shared_cache
from tests.support.command_line import mnist
from tests.support.mirror_server import MirrorServer

if TYPE_CHECKING:
    from tests.support.fetch_fixtures import Small


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def again(small: Small) -> None:
    """Begin another project, with nothing in it."""
    for path in small.out.iterdir():
        path.unlink()


def cached(small: Small, cache: Path) -> Path:
    """The place of the largest file in the cache."""
    folder = small.root / "sources"
    folder.mkdir(exist_ok=True)
    (folder / small.images).write_bytes(small.files[small.images])
    return cache / sha256_of(folder / small.images)


def test_the_next_project_takes_a_download_from_the_cache(small: Small, mirror: MirrorServer, cache: Path) -> None:
    small.fetch(mirror.url, cache=cache)
    again(small)
    result = small.fetch(mirror.url, cache=cache)
    assert small.published() == small.files
    assert (result.requests, len(mirror.requests)) == (0, 4)
    assert result.files[0].source == f"cache {cache}"
    assert {sha256_of(path) for path in cache.iterdir()} == {path.name for path in cache.iterdir()}


def test_without_a_cache_nothing_is_kept(small: Small, mirror: MirrorServer, cache: Path) -> None:
    small.fetch(mirror.url)
    assert not cache.exists()


def lie(place: Path) -> None:
    place.write_bytes(bytes(place.stat().st_size))


def shorten(place: Path) -> None:
    place.write_bytes(b"short")


def grow(place: Path) -> None:
    with place.open("r+b") as file:
        file.truncate(1 << 40)


def link(place: Path) -> None:
    place.unlink()
    place.symlink_to("/etc/passwd")


def dangle(place: Path) -> None:
    place.unlink()
    place.symlink_to("nowhere")


def pipe(place: Path) -> None:
    place.unlink()
    os.mkfifo(place)


def device(place: Path) -> None:
    place.unlink()
    place.symlink_to("/dev/zero")


def folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


@pytest.mark.parametrize("attack", [lie, shorten, grow, link, dangle, pipe, device, folder])
def test_a_wrong_file_in_the_cache_is_not_used(small: Small, mirror: MirrorServer, cache: Path, attack: object) -> None:
    small.fetch(mirror.url, cache=cache)
    again(small)
    place = cached(small, cache)
    attack(place)  # type: ignore[operator]
    result = small.fetch(mirror.url, cache=cache)
    assert small.published() == small.files
    assert result.requests == 1
    assert small.listener.notes[0].startswith(f"{small.images}: cache {cache}: ")
    if attack is folder:
        assert "nothing is kept there" in small.listener.notes[-1]
    else:
        assert place.is_file() and not place.is_symlink() and sha256_of(place) == place.name  # it is mended


def test_the_target_of_a_link_in_the_cache_is_not_written(small: Small, mirror: MirrorServer, cache: Path) -> None:
    victim = small.root / "victim"
    victim.write_text("mine")
    cache.mkdir()
    cached(small, cache).symlink_to(victim)
    small.fetch(mirror.url, cache=cache)
    assert victim.read_text() == "mine"


def test_a_file_that_is_replaced_while_it_is_copied_is_not_used(
    small: Small, mirror: MirrorServer, cache: Path
) -> None:
    """Another user overwrites the file for as long as the fetch runs: what is published is right all the same."""
    small.fetch(mirror.url, cache=cache)
    place, right = cached(small, cache), small.files[small.images]
    stop = threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            for content in (right, bytes(len(right))):
                with place.open("r+b") as file:
                    file.write(content)

    rival = threading.Thread(target=exchange)
    rival.start()
    try:
        for _ in range(20):
            again(small)
            small.fetch(mirror.url, cache=cache)
            assert small.published() == small.files
    finally:
        stop.set()
        rival.join()


def test_a_cache_that_cannot_be_written_is_worth_one_note(small: Small, mirror: MirrorServer, cache: Path) -> None:
    cache.write_text("a file")
    small.fetch(mirror.url, cache=cache)
    assert small.published() == small.files
    assert len(small.listener.notes) == 1
    assert "nothing is kept there" in small.listener.notes[0]


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs to be root, to become others")
def test_two_users_share_a_cache_in_which_neither_can_touch_the_others_files(small: Small, cache: Path) -> None:
    """One keeps, the other takes; a wrong file of the first costs the second a download, and a note."""
    files = small.folder("mirror")
    place = cached(small, cache)
    for path in (small.root, *small.root.parents):
        if path != Path("/tmp") and path != Path("/"):
            path.chmod(0o755)
    cache.mkdir()
    cache.chmod(0o1777)
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from mnist_cli.datasets import DATASETS, DataFile\n"
        "from mnist_cli.sources.cache import Cache\n"
        "from mnist_cli.sources.partial import PartialFile\n"
        "from mnist_cli.sources.download import Downloader\n"
        "from mnist_cli.sources.mirrors import parse_mirror\n"
        "from mnist_cli.sources.time_limits import TimeLimits\n"
        "from mnist_cli.progress import Progress\n"
        "[DATASETS[name] for name in DATASETS]\n"
        "os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))  # now: the modules may be readable by root alone\n"
        "class Notes(Progress):\n"
        "    def note(self, text): print('note', text)\n"
        "folder, cache, mirror, name, size, digest = sys.argv[2:]\n"
        "part = PartialFile(Path(folder), DataFile(name, int(size), digest))\n"
        "time_limits = TimeLimits(5, 60, 0)\n"
        "print(Downloader([parse_mirror(mirror)], time_limits, Notes(), cache=Cache(Path(cache))).get(part))\n"
    )

    def fetch_as(user: int) -> str:
        home = small.root / f"user-{user}-{time.monotonic_ns()}"
        home.mkdir()
        os.chown(home, user, user)
        size = len(small.files[small.images])
        words = [str(user), str(home), str(cache), str(files), small.images, str(size), place.name]
        done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
        return done.stdout

    assert fetch_as(1001).strip() == str(files)
    assert place.stat().st_uid == 1001 and stat.S_IMODE(place.stat().st_mode) & 0o022 == 0
    assert fetch_as(1002).strip() == f"cache {cache}"
    lie(place)
    told = fetch_as(1002)
    assert told.splitlines()[-1] == str(files)
    assert "not used" in told and "Operation not permitted" in told


def test_leftovers_of_killed_processes_in_the_cache_are_removed_after_a_day(
    small: Small, mirror: MirrorServer, cache: Path
) -> None:
    cache.mkdir()
    old, new = cache / ".tmp-x-01234567", cache / ".tmp-y-89abcdef"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    small.fetch(mirror.url, cache=cache)
    assert not old.exists() and new.exists()


def test_offline_uses_no_mirror_on_the_web(small: Small, mirror: MirrorServer, cache: Path) -> None:
    with pytest.raises(FetchError, match="is missing, and --offline uses no mirror on the web") as caught:
        small.fetch(mirror.url, offline=True, cache=cache)
    assert "--mirror FOLDER" in str(caught.value.hint)
    assert mirror.requests == []


def test_offline_uses_folders_and_the_cache(small: Small, mirror: MirrorServer, cache: Path) -> None:
    small.fetch(mirror.url, small.folder(), offline=True)
    again(small)
    small.fetch(mirror.url, cache=cache)
    again(small)
    small.fetch(mirror.url, cache=cache, offline=True)
    assert small.published() == small.files
    assert len(mirror.requests) == 4


@pytest.mark.parametrize("command", ["fetch", "run"])
def test_the_commands_that_fetch_take_both(
    small: Small, mirror: MirrorServer, cache: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(small.root)
    monkeypatch.setenv("MNIST_MIRRORS", mirror.url)
    monkeypatch.setenv("MNIST_CACHE", str(cache))
    words = [command, "--set", "dataset=small", *(["--to", "fetch"] if command == "run" else [])]
    failed = mnist(*words, "--offline", code=8)
    assert "--offline uses no mirror" in failed.err and mirror.requests == []
    mnist(*words)
    done = mnist(*words, "--artifacts", "another", "--offline")
    assert f"verified (cache {cache})" in done.out


def test_the_cache_may_be_below_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MNIST_CACHE", "~/mnist")
    assert shared_cache() == tmp_path / "mnist"
    monkeypatch.setenv("MNIST_CACHE", "")
    assert shared_cache() is None


@pytest.mark.parametrize(
    ("text", "mirrors"),
    [
        ("", ()),
        ("  /a   https://b/?q='c'  ", ("/a", "https://b/?q='c'")),
        ("'/my data' https://b/", ("/my data", "https://b/")),
        ('"/my data/it\'s here" /c', ("/my data/it's here", "/c")),
        (r"C:\data\mnist 'D:\my data'", (r"C:\data\mnist", r"D:\my data")),
    ],
)
def test_quotes_keep_a_folder_with_spaces_together(text: str, mirrors: tuple[str, ...]) -> None:
    assert listed_mirrors(text) == mirrors


@pytest.mark.parametrize("text", ["'/my data", '/a "/my data', "'/my data'x"])
def test_a_quote_that_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="MNIST_MIRRORS: a quote is not closed"):
        listed_mirrors(text)


def test_a_folder_with_a_space_is_a_mirror(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small.root)
    folder = small.folder("my data")
    monkeypatch.setenv("MNIST_MIRRORS", f"'{folder}'")
    assert "verified" in mnist("fetch", "--set", "dataset=small").out
