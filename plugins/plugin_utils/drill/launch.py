# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the engine beside Ansible, and listen to it."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...module_utils.errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_COLLECTION = Path(__file__).resolve().parents[3]
_ENGINE = "ansible_collections.okiagari.testbed.plugins.plugin_utils.drill"
_ALONE_S = 0.5


def launch(work: Mapping[str, Any], progress: Callable[[str, str], None]) -> dict[str, Any]:
    """Run the engine on its work and give its result; progress is passed on as it comes.

    The engine has its own session. It aborts by itself when this process or the one that started this one is gone.
    """
    home = Path(tempfile.mkdtemp(prefix="oki-"))
    theirs, ours = os.pipe()
    try:
        engine = _start(home, work, theirs)
    except OSError as error:
        shutil.rmtree(home, ignore_errors=True)
        os.close(ours)
        raise OkiagariError(f"the drill's engine can't be started: {error}") from error
    finally:
        os.close(theirs)
    try:
        return _listen(engine, progress)
    finally:
        os.close(ours)


def _start(home: Path, work: Mapping[str, Any], pipe: int) -> subprocess.Popen[bytes]:
    """Start the engine, which owns `home` from then on."""
    # However the collection was found, the engine imports this very copy of it under its own name.
    (home / "ansible_collections/okiagari").mkdir(parents=True)
    (home / "ansible_collections/okiagari/testbed").symlink_to(_COLLECTION)
    work_file = home / "work.json"
    with os.fdopen(os.open(work_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        json.dump(work, stream)
    return subprocess.Popen(
        [sys.executable, "-B", "-m", _ENGINE, str(work_file), str(pipe)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(pipe,),
        start_new_session=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(home), *filter(None, sys.path)])},
    )


def _listen(engine: subprocess.Popen[bytes], progress: Callable[[str, str], None]) -> dict[str, Any]:
    parent = os.getppid()
    result: dict[str, Any] | None = None
    streams = {engine.stdout: b"", engine.stderr: b""}
    open_streams = [stream for stream in streams if stream]
    while open_streams:
        if os.getppid() != parent:
            raise OkiagariError("Ansible's main process is gone; the drill is being aborted")
        for stream in select.select(open_streams, [], [], _ALONE_S)[0]:
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                open_streams.remove(stream)
                continue
            streams[stream] += chunk
            if stream is engine.stdout:
                *lines, streams[stream] = streams[stream].split(b"\n")
                result = _hear(lines, progress) or result
    code = engine.wait()
    if result is None:
        said = streams[engine.stderr].decode(errors="replace").strip().splitlines()
        raise OkiagariError(
            f"the drill's engine ended with {code} and left no result: {said[-1] if said else 'it said nothing'}; "
            "every fault ends by itself with its lease"
        )
    return result


def _hear(lines: list[bytes], progress: Callable[[str, str], None]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None
    for line in lines:
        message = json.loads(line)
        if "result" in message:
            found = message["result"]
        else:
            progress(message["phase"], message["text"])
    return found
