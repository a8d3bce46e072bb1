# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import tarfile

from ansible_collections.okiagari.testbed.plugins.module_utils.lab.seed import seed_disk
from hypothesis import given
from hypothesis import strategies as st

FILES = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,3}", fullmatch=True), st.text(max_size=50), max_size=5
)


@given(FILES, FILES)
def test_the_archive_depends_on_its_files_alone(public: dict[str, str], private: dict[str, str]) -> None:
    disk = seed_disk(public, private)
    assert disk == seed_disk(dict(reversed(public.items())), dict(reversed(private.items())))
    assert disk
    assert len(disk) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(disk)) as archive:
        members = archive.getmembers()
        assert [(member.name, member.mode) for member in members] == [
            *((path, 0o644) for path in sorted(public)),
            *((path, 0o600) for path in sorted(private)),
        ]
        assert all((member.uid, member.gid, member.mtime) == (0, 0, 0) for member in members)
        texts = [file.read().decode() for member in members if (file := archive.extractfile(member))]
    assert texts == [*(public[path] for path in sorted(public)), *(private[path] for path in sorted(private))]
