"""Which files are the project's code, and when each was changed: for the reloader.

Reads directories, not modules: it sees new and deleted files, and code that failed to import.
"""

import os
import sys
import sysconfig
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import ModuleType

LIBRARIES = {"site-packages", "dist-packages"}
INSTALLED = tuple(
    os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib")
)


def project_folders() -> set[str]:
    """Return the folders of all modules that are no library's, up to where they are found."""
    files = [_file(module) for module in list(sys.modules.values())]
    folders = {os.path.dirname(file) for file in files if file and not _is_library(file)}  # noqa: PTH120 - text, a thousand times
    roots = {os.path.abspath(entry) for entry in sys.path}  # noqa: PTH100 - the same
    return {str(path) for folder in folders for path in _upwards(Path(folder), roots)}


def changed_at(folders: Collection[str]) -> dict[str, int]:
    """Return when each Python file in and below `folders` was changed, in nanoseconds.

    Goes down only where there are Python files: not into uploads, logs and `node_modules`.
    """
    found: dict[str, int] = {}
    todo, seen = list(folders), set(folders)
    while todo:
        folder = todo.pop()
        files, below = _listing(folder)
        found |= files
        if files or folder in folders:
            fresh = below - seen
            seen |= fresh
            todo += fresh
    return found


def differences(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Return the files that are new, gone or changed."""
    names = before.keys() | after.keys()
    return sorted(name for name in names if before.get(name) != after.get(name))


def _file(module: ModuleType) -> str | None:
    file = getattr(module, "__file__", None)  # what stands in sys.modules need be no module
    return file if isinstance(file, str) and os.path.isabs(file) else None  # noqa: PTH117 - text


def _is_library(file: str) -> bool:
    if not LIBRARIES.isdisjoint(Path(file).parts):
        return True
    return os.path.realpath(file).startswith(INSTALLED)


def _upwards(folder: Path, roots: Collection[str]) -> list[Path]:
    """Return `folder` and those above it up to its root; only itself where it has none."""
    above = [folder, *folder.parents]
    ends = [number for number, path in enumerate(above) if str(path) in roots]
    return above[: ends[0] + 1] if ends else [folder]


def _listing(folder: str) -> tuple[dict[str, int], set[str]]:
    """Return the Python files of a folder with their times, and the folders in it."""
    files: dict[str, int] = {}
    below: set[str] = set()
    try:
        entries = list(os.scandir(folder))
    except OSError:  # gone since the last look
        return files, below
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if entry.is_dir(follow_symlinks=False):
            below.add(entry.path)
        elif entry.name.endswith(".py"):
            with suppress(OSError):  # gone meanwhile, or a link to nowhere
                files[entry.path] = entry.stat().st_mtime_ns
    return files, below
