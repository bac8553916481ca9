"""A private network for the workers of one machine: a loopback that no other machine and no other user can reach.

TensorFlow's servers listen on every address and ask for no password; anyone who reaches one can read and write files
as the user who runs it. In a network namespace that has only loopback nobody can reach them. A separate process,
`python … own_network`, makes the namespace, which lasts as long as a process is in it or has it open.

Linux allows this to root, and to other users in a user namespace; many containers forbid both.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mnist_cli import children

# <linux/sched.h>, <linux/sockios.h>, <linux/if.h> and <linux/capability.h>
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_SET_INTERFACE_FLAGS, _UP = 0x8914, 1
_CAPABILITIES_3 = 0x20080522
_PROC = Path("/proc")


def make_network() -> list[int] | None:
    """Make a network that has only loopback.

    Returns:
        Open, inheritable descriptors of its namespaces, in the order for `join_network`; None if the system does not
        allow it.
    """
    if sys.platform != "linux":
        return None
    # The process ends when its standard input ends.
    with children.start(
        __name__, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as maker:
        assert maker.stdout is not None
        kinds = maker.stdout.readline().decode().split()
        opened: list[int] = []
        with contextlib.suppress(OSError):  # /proc is missing, or hides other processes
            for kind in kinds:
                opened.append(os.open(_PROC / str(maker.pid) / "ns" / kind, os.O_RDONLY))
        assert maker.stdin is not None
        maker.stdin.close()
    if not opened or len(opened) < len(kinds):
        close_network(opened)
        return None
    for descriptor in opened:
        os.set_inheritable(descriptor, True)
    return opened


def close_network(descriptors: Sequence[int]) -> None:
    """Close what `make_network` opened; the network lasts as long as a process is in it."""
    for descriptor in descriptors:
        os.close(descriptor)


def join_network(descriptors: Sequence[int]) -> None:
    """Move this process, which must have one thread, into a network, without giving it new rights there.

    Raises:
        OSError: the system does not allow it.
    """
    for descriptor in descriptors:
        _call("setns", descriptor, 0)
    if len(descriptors) > 1:
        # In a user namespace a process has all capabilities over its own files: a folder without write permission
        # would be writable.
        _call("capset", struct.pack("=Ii", _CAPABILITIES_3, 0), bytes(24))
    close_network(descriptors)


def main() -> None:
    """Make the namespaces, print their kinds, and stay until standard input ends."""
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: a C library without these calls
        kinds = _leave()
        _raise_loopback()
        print(*kinds, flush=True)
        sys.stdin.read()


def _leave() -> tuple[str, ...]:
    """Leave the network for a new one; return the kinds of the new namespaces."""
    if os.geteuid() == 0:
        # In a user namespace root would lose its rights over the files of others.
        _call("unshare", _NEW_NETWORK)
        return ("net",)
    user, group = os.geteuid(), os.getegid()
    _call("unshare", _NEW_USER | _NEW_NETWORK)
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path("/proc/self", name).write_text(line)
    return ("user", "net")


def _raise_loopback() -> None:
    import fcntl  # missing on Windows, where this module can be imported too

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_INTERFACE_FLAGS, struct.pack("16sh22x", b"lo", _UP))


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library that returns 0 on success."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
