# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of configuration files, brought to what they shall be in one step."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import BadInput, Problem
from .target.system import sync_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WILD = re.compile(r"[*?\[]")
_MODE = re.compile(r"0?[0-7]{3,4}")


class _File(NamedTuple):
    content: str
    mode: str
    owner: str | None
    group: str | None


class ConfigFiles:
    """Files with their content, and globs whose other files have no place any more.

    Raises `BadInput` for paths that aren't absolute or are there twice, and for modes that can't be read.
    """

    def __init__(self, files: Sequence[Mapping[str, Any]], prune: Sequence[str] = ()) -> None:
        problems = list(_problems(files, prune))
        if problems:
            raise BadInput(problems)
        self._files = {
            file["path"]: _File(
                file["content"], _mode(file.get("mode") or "0644"), file.get("owner"), file.get("group")
            )
            for file in files
        }
        self._prune = prune

    def read(self) -> dict[str, Any]:
        """Give the files that are there, wanted or to be pruned: path to `content`, `mode`, `owner` and `group`.

        Of a wanted file only the keys that are wanted are given. Raise `BadInput` where something else is in the way.
        """
        problems = [
            Problem("", None, path, "is a directory")
            for path in self._files
            if Path(path).is_dir() and not Path(path).is_symlink()
        ]
        if problems:
            raise BadInput(problems)
        found = {path: self._present(path) for path in [*self._files, *self._stale()]}
        return {path: file for path, file in found.items() if file}

    def want(self) -> dict[str, Any]:
        """Give the files as `read` gives them once they are as wanted."""
        return {path: _wanted(file) for path, file in self._files.items()}

    def apply(self) -> None:
        """Write what differs, each file at once, and remove what has no place any more."""
        self._check_owners()
        wanted, present = self.want(), self.read()
        for path, file in self._files.items():
            if present.get(path) != wanted[path]:
                _write(Path(path), file)
        for path in self._stale():
            Path(path).unlink()
            # A folder of drop-ins is nothing without them.
            if Path(path).parent.name.endswith(".d"):
                with suppress(OSError):
                    Path(path).parent.rmdir()

    def _stale(self) -> list[str]:
        found = {str(path) for pattern in self._prune for path in Path("/").glob(pattern.lstrip("/"))}
        return sorted(path for path in found - set(self._files) if not Path(path).is_dir())

    def _present(self, path: str) -> dict[str, Any]:
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        if not stat.S_ISREG(status.st_mode):
            return {"content": f"({_kind(status.st_mode)})"}
        present = {"content": Path(path).read_bytes().decode(errors="replace"), "mode": _octal(status.st_mode)}
        wanted = self._files.get(path)
        if wanted and wanted.owner is not None:
            present["owner"] = _name(pwd.getpwuid, status.st_uid)
        if wanted and wanted.group is not None:
            present["group"] = _name(grp.getgrgid, status.st_gid)
        return present

    def _check_owners(self) -> None:
        """Not when the arguments are read: in check mode, a package that brings the user may still be missing."""
        unknown = [
            Problem("", None, path, f"there is no {what} {name}")
            for path, file in self._files.items()
            for what, name, by_name in (("user", file.owner, pwd.getpwnam), ("group", file.group, grp.getgrnam))
            if name is not None and not _known(by_name, name)
        ]
        if unknown:
            raise BadInput(unknown)


def changed_paths(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Give the files that differ between two readings, or are in one of them alone."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def diffs(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, str]]:
    """Give the difference of two readings as Ansible's diff mode shows it, file by file."""
    return [
        {
            "before_header": path,
            "after_header": path,
            "before": _text(before.get(path, {})),
            "after": _text(after.get(path, {})),
        }
        for path in changed_paths(before, after)
    ]


def _problems(files: Sequence[Mapping[str, Any]], prune: Sequence[str]) -> list[Problem]:
    problems = []
    seen: set[str] = set()
    for file in files:
        path = file["path"]
        if not path.startswith("/") or os.path.normpath(path) != path:
            problems.append(Problem("", None, path, "must be an absolute path without dots and double slashes"))
        if path in seen:
            problems.append(Problem("", None, path, "is there twice"))
        seen.add(path)
        if not _MODE.fullmatch(file.get("mode") or "0644"):
            problems.append(Problem("", None, path, f"{file['mode']} is not a mode such as 0644"))
    problems += [
        Problem("", None, pattern, "a glob to prune must be absolute, with wildcards in the last two of its parts only")
        for pattern in prune
        if not Path(pattern).is_absolute() or not Path(pattern).name or _WILD.search(str(Path(pattern).parent.parent))
    ]
    return problems


def _wanted(file: _File) -> dict[str, Any]:
    wanted = {"content": file.content, "mode": file.mode, "owner": file.owner, "group": file.group}
    return {key: value for key, value in wanted.items() if value is not None}


def _write(path: Path, file: _File) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as opened:
            opened.write(file.content)
            if file.owner is not None:
                os.fchown(opened.fileno(), pwd.getpwnam(file.owner).pw_uid, -1)
            if file.group is not None:
                os.fchown(opened.fileno(), -1, grp.getgrnam(file.group).gr_gid)
            os.fchmod(opened.fileno(), int(file.mode, 8))
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(path)
        sync_names(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _text(file: Mapping[str, Any]) -> str:
    about = "".join(f"{key}: {file[key]}\n" for key in ("owner", "group", "mode") if key in file)
    return about + str(file.get("content", ""))


def _mode(mode: str) -> str:
    return mode.lstrip("0").zfill(4)


def _octal(mode: int) -> str:
    return f"{stat.S_IMODE(mode):04o}"


def _kind(mode: int) -> str:
    return "a link" if stat.S_ISLNK(mode) else "no file"


def _name(by_number: Any, number: int) -> str:
    try:
        return str(by_number(number)[0])
    except KeyError:
        return str(number)


def _known(by_name: Any, name: str) -> bool:
    try:
        by_name(name)
    except KeyError:
        return False
    return True
