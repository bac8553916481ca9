"""Attacks on the promise that what is published is the old file or the new one, whole, and that nothing hangs.

    scene.py        two tiny runs, the old one and the new one, and the judge of what an attack left
    tracing.py      strace: what a command does to files, and a signal or an error in the place of one such call
    kills.py        SIGKILL at random moments
    operations.py   SIGKILL, ENOSPC or EIO at every file operation, and the order of the operations that publish
    power.py        power cuts: what was not synced is lost; disk.py is the disk that can lose it
    crowd.py        many processes in one folder at once

`python -m tests.attacks` runs the long version and prints what it found as a table;
tests/attacks/test_attacks.py runs a short one.
"""
