"""Runs `mnist` as on a system that has nothing of POSIX: what Windows lacks is taken away before anything is imported.

What only a dependency's Linux build needs, such as os.uname for NumPy, stays: its Windows build does without.
"""

from __future__ import annotations

import os
import signal
import sys

MODULES = ("fcntl", "grp", "posix_ipc", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty")
CALLS = (
    *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "chown", "chroot", "fchmod", "fchown", "fork", "forkpty"),
    *("getegid", "geteuid", "getgid", "getgroups", "getloadavg", "getpgid", "getpgrp", "getpriority", "getsid"),
    *("getuid", "initgroups", "killpg", "lchown", "lockf", "mkfifo", "mknod", "nice", "posix_fadvise"),
    *("posix_fallocate", "pread", "preadv", "pwrite", "pwritev", "register_at_fork", "sched_getaffinity"),
    *("sched_setaffinity", "sendfile", "setgid", "setpgid", "setsid", "setuid", "statvfs", "fstatvfs", "sync"),
    *("sysconf", "ttyname", "wait", "wait3", "wait4"),
)
SIGNALS = (
    *("SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP", "SIGTTIN"),
    *("SIGTTOU", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGXFSZ"),
    *("alarm", "getitimer", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "siginterrupt", "sigwait"),
)


def hide() -> None:
    """Take it all away, for this process."""
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]  # which makes its import fail
    for module, names in ((os, CALLS), (signal, SIGNALS)):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)


if __name__ == "__main__":
    hide()
    from mnist_cli.__main__ import main

    sys.argv[0] = "mnist"
    main()
