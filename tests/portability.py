"""`python -m tests.portability [CPU …]`: the whole pipeline under emulated processors, compared to the byte.

It runs `mnist run --dataset synthetic`, on pixels and on gradients, as it is and again under `qemu-x86_64 -cpu CPU`
(Debian: qemu-user) for each of the names, by default six. `aarch64` is a name too: on an emulated 64-bit ARM processor
it computes what needs no TensorFlow, with a Python and a NumPy for ARM that `apt-get` and `pip` bring into the folder
--arm, once.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support import ROOT

CPUS = ("SandyBridge", "Haswell", "Skylake-Client", "EPYC-Rome", "Opteron_G5", "max")
ARM = "aarch64"
# What is run: its name, and its settings.
_RUNS: dict[str, tuple[str, ...]] = {"pixels": (), "gradients": ("features.map=grad8", "features.deskew=true")}
_ARM_PACKAGES = ("libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libssl3", "libffi8", "python3.11-minimal")
_ARM_LIBRARY = "libpython3.11-minimal", "libpython3.11-stdlib"


def main(arguments: Sequence[str]) -> int:
    """Run and compare; return 1 if anything differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.portability", description=__doc__, allow_abbrev=False)
    parser.add_argument("cpu", nargs="*", default=CPUS, help=f"processors, of {', '.join(CPUS)}, or {ARM}")
    parser.add_argument("--quick", action="store_true", help="only what needs no TensorFlow, in a minute or so")
    parser.add_argument("--arm", type=Path, default=ROOT / ".arm", help="folder of the ARM packages")
    options = parser.parse_args(arguments)
    code = 0
    with tempfile.TemporaryDirectory() as scratch:
        here: dict[str, Mapping[str, str]] = {}
        for cpu in options.cpu:
            kind = ARM if cpu == ARM else "x86_64"
            run = _without_tensorflow if cpu == ARM or options.quick else _pipeline
            if kind not in here:
                here[kind] = run([sys.executable], Path(scratch) / f"{kind}-here")
            started = time.monotonic()
            emulator = _arm(options.arm) if cpu == ARM else [_found("qemu-x86_64"), "-cpu", cpu, sys.executable]
            there = run(emulator, Path(scratch) / cpu)
            differing = [name for name, digest in here[kind].items() if there.get(name) != digest]
            code = 1 if differing else code
            told = f"differs: {', '.join(differing)}" if differing else f"{len(there)} digests equal"
            print(f"{cpu:15} {told} ({time.monotonic() - started:.0f} s)", flush=True)
    return code


def _pipeline(python: list[str], folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that the stages publish, but for the manifests, which hold times."""
    # 16 threads, wherever it runs: they must not matter either.
    variables = {**os.environ, "TF_NUM_INTRAOP_THREADS": "16", "PYTHONPATH": str(ROOT)}
    command = [*python, "-m", "mnist_cli", "run", "--dataset", "synthetic", "--artifacts", str(folder), "--quiet"]
    found = {}
    for name, settings in _RUNS.items():
        more = [word for setting in settings for word in ("--set", setting)]
        subprocess.run([*command, *more], check=True, env=variables, cwd=folder.parent, stdout=subprocess.DEVNULL)
        for path in sorted(folder.glob("*/*")):
            if path.is_file() and path.name != "manifest.json":
                found[f"{name}: {path.relative_to(folder)}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _without_tensorflow(python: list[str], folder: Path) -> dict[str, str]:
    """Return what tests/support/without_tensorflow.py prints: a name and a digest a line."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
    command = [*python, "-m", "tests.support.without_tensorflow"]
    done = subprocess.run(command, check=True, env=variables, cwd=folder.parent, stdout=subprocess.PIPE, text=True)
    return dict(line.split() for line in done.stdout.splitlines())


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        sys.exit(f"{program} is not installed; on Debian: apt-get install qemu-user")
    return path


def _arm(folder: Path) -> list[str]:
    """Return a command that runs Python 3.11 with NumPy as an ARM processor would; bring the packages at first."""
    python = folder / "usr" / "bin" / "python3.11"
    if not python.exists():
        _bring_arm(folder.resolve())
    return [_found("qemu-aarch64"), "-L", str(folder), "-E", f"PYTHONPATH={ROOT}:{folder / 'numpy'}", str(python)]


def _bring_arm(folder: Path) -> None:
    for name in ("lists/partial", "cache/archives/partial", "packages"):
        (folder / "apt" / name).mkdir(parents=True, exist_ok=True)
    apt = ["apt-get", "-qq", "-oAPT::Architecture=arm64", "-oAPT::Architectures=arm64"]
    apt += [
        f"-oDir::State::Lists={folder}/apt/lists",
        "-oDir::State::status=/dev/null",
        f"-oDir::Cache={folder}/apt/cache",
    ]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", *_ARM_PACKAGES, *_ARM_LIBRARY], check=True, cwd=folder / "apt" / "packages")
    for package in (folder / "apt" / "packages").glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder], check=True)
    wanted = ["--only-binary=:all:", "--platform", "manylinux_2_28_aarch64", "--platform", "manylinux2014_aarch64"]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder / "numpy"), *wanted]
    subprocess.run([*pip, "--python-version", "3.11", "--implementation", "cp", "numpy"], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
