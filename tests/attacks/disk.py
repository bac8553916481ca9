"""A disk in memory that can lose what was not synced, filled from the trace of a command.

Each system call of the trace changes it as the kernel would have; in the end it must hold what the real folder holds,
so nothing was overlooked. What a power cut leaves is found by three rules, of which real file systems keep more:

- the bytes of a file are those of its last fsync, all that were written, or half of what came since;
- names change in order, as in a journal, and every fsync writes down all before it;
- or, as POSIX alone has it, the names in a folder are those of the last fsync of that folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

State = dict[str, bytes]  # path below the folder → content

_LINE = re.compile(r"^(\d+) +(.*)$")
_CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+|\?)(.*)$", re.DOTALL)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"f": b"\f"}


@dataclass
class _File:
    content: bytes = b""
    synced: bytes = b""


@dataclass
class _Folder:
    entries: dict[str, _File | _Folder] = field(default_factory=dict)
    synced: dict[str, _File | _Folder] = field(default_factory=dict)


Names = dict[int, dict[str, "_File | _Folder"]]  # id of a folder → what is in it


@dataclass
class _Open:
    file: _File
    position: int = 0
    appends: bool = False


class Disk:
    """The files of one folder.

    Args:
        root: the folder, as it is before the command; everything in it counts as synced.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = _Folder()
        self._open: dict[int, _Open] = {}
        self._barrier: list[Names] = [{}]  # the names since the last fsync, in order
        self.versions: dict[str, set[bytes]] = {}
        for path in sorted(root.rglob("*")):
            parent, name = self._place(str(path))
            parent.entries[name] = _Folder() if path.is_dir() else _File(path.read_bytes(), path.read_bytes())
        for folder in self._folders():
            folder.synced = dict(folder.entries)
        self._remember("", self._top)
        self._barrier = [self._names()]

    def replay(self, trace: Path) -> Iterator[list[State]]:
        """Do what a trace says; give, after each call that changed something, the states a power cut could leave."""
        for name, arguments, result, rest in _calls(trace):
            if result >= 0 and self._do(name, arguments, result, rest):
                if name in ("fsync", "fdatasync"):
                    self._barrier = []
                self._barrier.append(self._names())
                yield self._after_a_cut()

    def state(self) -> State:
        """Return what is there if nothing is lost."""
        return self._state(self._names(), lambda file: file.content)

    def _after_a_cut(self) -> list[State]:
        found = [self._state(names, lambda file: file.synced) for names in self._barrier]
        now = self._names()
        found.append(self._state(now, lambda file: file.content))
        found.append(self._state(now, _half))
        found.append(self._state({id(folder): folder.synced for folder in self._folders()}, lambda file: file.synced))
        return found

    def _do(self, name: str, arguments: str, result: int, rest: str) -> bool:
        """Do one call; tell whether it concerned this disk."""
        if name in ("open", "openat", "creat"):
            return self._opened(arguments, result, rest)
        if name == "lseek":
            if opened := self._open.get(_descriptor(arguments)):
                opened.position = result
            return False
        if name in ("fsync", "fdatasync"):
            return self._synced(_descriptor_path(arguments))
        if name in _WRITERS:
            return self._wrote(name, arguments, result)
        return self._renamed(name, arguments)

    def _opened(self, arguments: str, descriptor: int, rest: str) -> bool:
        self._open.pop(descriptor, None)
        path = _descriptor_path(f"0{rest.strip()}")
        if not self._is_inside(path) or "O_DIRECTORY" in arguments:
            return False
        parent, name = self._place(path)
        node = parent.entries.get(name)
        is_new = node is None
        if node is None:
            node = parent.entries[name] = _File()
        if isinstance(node, _Folder):
            return False
        truncates = "O_TRUNC" in arguments and bool(node.content)
        if truncates:
            node.content = b""
        self._open[descriptor] = _Open(node, appends="O_APPEND" in arguments)
        return is_new or truncates

    def _wrote(self, name: str, arguments: str, result: int) -> bool:
        opened = self._open.get(_descriptor(arguments))
        if opened is None or not self._is_inside(_descriptor_path(arguments)):
            return False
        file, at = opened.file, opened.position
        if name == "ftruncate":
            size = int(arguments.rsplit(",", 1)[1])
            file.content = file.content[:size].ljust(size, b"\0")
            return True
        if name in ("sendfile", "copy_file_range"):
            data = self._copied(name, arguments, result)
        else:
            data = b"".join(map(_unescaped, _STRING.findall(arguments)))[:result]
            assert len(data) == result, f"{name}: strace showed {len(data)} of {result} bytes"
        at = int(arguments.rsplit(",", 1)[1]) if name == "pwrite64" else len(file.content) if opened.appends else at
        file.content = file.content[:at].ljust(at, b"\0") + data + file.content[at + len(data) :]
        if name != "pwrite64":
            opened.position = at + len(data)
        return True

    def _copied(self, name: str, arguments: str, count: int) -> bytes:
        """Return the bytes that the kernel copied from another file."""
        descriptors = re.findall(r"(\d+)<([^<>]*)>", arguments)
        number, path = descriptors[1 if name == "sendfile" else -1 if len(descriptors) == 1 else 0]
        source = self._open.get(int(number))
        content = source.file.content if source and self._is_inside(path) else Path(path).read_bytes()
        offset = re.search(r"\[(\d+)\]", arguments)
        at = int(offset[1]) if offset else source.position if source else 0
        if source and not offset:
            source.position = at + count
        return content[at : at + count]

    def _synced(self, path: str) -> bool:
        if not self._is_inside(path) and path != str(self._root):
            return False
        node = self._find(path)
        if isinstance(node, _Folder):
            node.synced = dict(node.entries)
        elif node is not None:
            node.synced = node.content
        return node is not None

    def _renamed(self, name: str, arguments: str) -> bool:
        """Do a call that changes names: mkdir, rename, unlink, rmdir."""
        # The command was started in this folder; `/` takes an absolute path as it is.
        paths = [path for path in (str(self._root / path) for path in _paths(arguments)) if self._is_inside(path)]
        if not paths:
            return False
        parent, last = self._place(paths[0])
        if name.startswith("mkdir"):
            parent.entries[last] = _Folder()
        elif name.startswith("rename"):
            assert len(paths) == 2, f"{name}({arguments}) leads out of the folder"
            node = parent.entries.pop(last)
            target, new_name = self._place(paths[1])
            target.entries[new_name] = node
            self._remember(str(Path(paths[1]).relative_to(self._root)), node)
        elif name.startswith(("unlink", "rmdir")):
            parent.entries.pop(last, None)
        else:
            raise AssertionError(f"{name}({arguments}): this disk cannot do that")
        return True

    def _remember(self, path: str, node: _File | _Folder) -> None:
        """Remember what stood somewhere when it got its name: the whole contents that may be found there."""
        if isinstance(node, _Folder):
            for name, inner in node.entries.items():
                self._remember(f"{path}/{name}".lstrip("/"), inner)
        else:
            self.versions.setdefault(path, set()).add(node.content)

    def _is_inside(self, path: str) -> bool:
        return path.startswith(f"{self._root}/")

    def _find(self, path: str) -> _File | _Folder | None:
        node: _File | _Folder | None = self._top
        for part in Path(path).relative_to(self._root).parts:
            node = node.entries.get(part) if isinstance(node, _Folder) else None
        return node

    def _place(self, path: str) -> tuple[_Folder, str]:
        folder = self._find(str(Path(path).parent))
        assert isinstance(folder, _Folder), f"{path} is in no folder"
        return folder, Path(path).name

    def _folders(self, folder: _Folder | None = None) -> Iterator[_Folder]:
        """Give all folders, those too that only a power cut would bring back."""
        seen: dict[int, _Folder] = {}
        waiting = [folder or self._top]
        while waiting:
            one = waiting.pop()
            if id(one) not in seen:
                seen[id(one)] = one
                inner = [*one.entries.values(), *one.synced.values()]
                waiting += [node for node in inner if isinstance(node, _Folder)]
        yield from seen.values()

    def _names(self) -> Names:
        return {id(folder): dict(folder.entries) for folder in self._folders()}

    def _state(self, names: Names, content: Callable[[_File], bytes]) -> State:
        found: State = {}
        waiting: list[tuple[str, _File | _Folder]] = [("", self._top)]
        while waiting:
            path, node = waiting.pop()
            if isinstance(node, _File):
                found[path] = content(node)
            else:
                found[f"{path}/"] = b""
                waiting += [(f"{path}/{name}".lstrip("/"), inner) for name, inner in names.get(id(node), {}).items()]
        return found


_WRITERS = ("write", "pwrite64", "writev", "ftruncate", "sendfile", "copy_file_range")


def _half(file: _File) -> bytes:
    """Return a file whose last bytes were not written yet."""
    same = len(file.synced) if file.content.startswith(file.synced) else 0
    return file.content[: same + (len(file.content) - same) // 2]


def _calls(trace: Path) -> Iterator[tuple[str, str, int, str]]:
    """Give name, arguments, result and what follows of each finished call."""
    begun: dict[str, str] = {}
    for line in trace.read_text(encoding="latin-1").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, text = match.groups()
        if text.endswith(" <unfinished ...>"):
            begun[thread] = text.removesuffix(" <unfinished ...>")
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>", text):
            text = begun.pop(thread) + text[resumed.end() :]
        if (call := _CALL.match(text)) and call[3] != "?":
            yield call[1], call[2], int(call[3]), call[4]


def _descriptor(arguments: str) -> int:
    match = re.match(r"(\d+)", arguments)
    return int(match[1]) if match else -1


def _descriptor_path(arguments: str) -> str:
    match = re.match(r"\d+<([^<>]*)>", arguments)
    return match[1] if match else ""


def _paths(arguments: str) -> list[str]:
    """Return the paths that are named, those beside the descriptor of a folder joined to it."""
    found: list[str] = []
    for folder, quoted in re.findall(
        r'(?:AT_FDCWD|\d+)<([^<>]*)>, "((?:[^"\\]|\\.)*)"|(?<!>, )"(?:[^"\\]|\\.)*"', arguments
    ):
        if folder:
            name = _unescaped(quoted).decode()
            found.append(name if name.startswith("/") else f"{folder}/{name}")
    if not found:
        found = [_unescaped(text).decode() for text in _STRING.findall(arguments)]
    return found


def _unescaped(text: str) -> bytes:
    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8)]) if code.isdigit() else _NAMED.get(code, code)

    return _ESCAPE.sub(one, text.encode("latin-1"))
