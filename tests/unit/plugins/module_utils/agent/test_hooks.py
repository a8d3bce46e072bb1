# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.hooks import HookFailed, run_hook

from .supervisors import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def run(argv: Sequence[str], **others: Any) -> None:
    asyncio.run(run_hook(argv, {"OKIAGARI_FROM": "b"}, **others))


def python(code: str) -> list[str]:
    return [sys.executable, "-IBc", code]


def test_it_reads_its_input_and_writes_its_output(tmp_path: Path) -> None:
    reading, writing = tmp_path / "in", tmp_path / "out"
    reading.write_text("state of ")
    writing.write_text("something older and longer")
    code = "import os, sys; sys.stdout.write(sys.stdin.read() + os.environ['OKIAGARI_FROM'])"
    run(python(code), reading=reading, writing=writing)
    assert writing.read_text() == "state of b"
    run(python("import sys; assert sys.stdin.read() == ''; print('nobody reads this')"))


def test_what_it_makes_is_nobody_else_s(tmp_path: Path) -> None:
    run(python("print('secret')"), writing=tmp_path / "out")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('no such\\ntable')", r"no such table \(exit status 1\)"),
        ("import sys; sys.exit(7)", r"no word \(exit status 7\)"),
        ("import sys; sys.exit('x' * 10**6 + 'end')", r"x{100}end \(exit status 1\)"),
        ("import os; os.kill(os.getpid(), 9)", r"exit status -9"),
    ],
)
def test_its_last_words_say_why_it_failed(code: str, message: str) -> None:
    with pytest.raises(HookFailed, match=message):
        run(python(code))


def test_a_program_that_there_is_not_is_named() -> None:
    with pytest.raises(HookFailed, match=r"/no/such/program.* \(exit status 127\)"):
        run(["/no/such/program"])


def test_it_ends_when_its_time_is_over_with_all_its_processes(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    child = "import subprocess, sys, time; "
    child += f"open({str(note)!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid)); time.sleep(600)"
    with pytest.raises(HookFailed, match="has not ended within 2 s"):
        run(python(child), seconds=2.0)
    wait_for(lambda: not alive(int(note.read_text())))


def test_it_ends_with_whoever_waits_for_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"

    async def cancelled() -> None:
        task = asyncio.create_task(run_hook(python(code), {}))
        while not (note.exists() and note.read_text()):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert not alive(int(note.read_text()))


def test_it_ends_with_its_agent_however_that_one_ends(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    agent = (
        "import asyncio, os, signal, sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        f"from {run_hook.__module__} import run_hook\n"
        "async def main():\n"
        f"    task = asyncio.create_task(run_hook({python(code)!r}, {{}}))\n"
        f"    while not (os.path.exists({str(note)!r}) and open({str(note)!r}).read()):\n"
        "        await asyncio.sleep(0.01)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )

    async def killed() -> int:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", agent)
        return await process.wait()

    assert asyncio.run(killed()) == -9
    wait_for(lambda: not alive(int(note.read_text())))


def test_it_runs_as_the_service_s_user_and_needs_no_way_to_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    if os.geteuid() != 0:
        with pytest.raises(HookFailed, match="setpriv"):
            run(["/bin/true"], user="nobody")
        return
    run(["/bin/sh", "-c", "id -un; id -gn"], user="nobody", writing=folder / "out")
    assert (folder / "out").read_text().split() == ["nobody", "nogroup"]
    with pytest.raises(KeyError, match="nobody-there"):
        run(["/bin/true"], user="nobody-there")
