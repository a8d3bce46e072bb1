# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checksum import sealed, unsealed
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue


@pytest.mark.parametrize("content", [b"", b"x", b"a line\n", bytes(range(256))])
def test_what_is_whole_is_given(content: bytes) -> None:
    assert unsealed(sealed(content)) == content


def test_whatever_is_cut_off_or_flipped_is_noticed() -> None:
    whole = sealed(b'{"term": 3}')
    cut = [whole[:end] for end in range(len(whole))]
    flipped = [
        whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in range(8)
    ]
    for wrong in (*cut, *flipped, whole + b"\n", whole * 2):
        with pytest.raises(BadValue, match="is damaged"):
            unsealed(wrong)
