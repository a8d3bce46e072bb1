# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import Copies


def test_what_is_durable_is_what_enough_sites_have() -> None:
    copies = Copies(["naist", "osaka", "kanazawa"], needed=2)
    assert copies.durable_until() == 0
    copies.acknowledge("naist", 7)
    assert copies.durable_until() == 0
    copies.acknowledge("osaka", 5)
    copies.acknowledge("osaka", 3)  # a late message
    assert copies.durable_until() == 5
    assert [copies.after(site) for site in ("naist", "osaka", "kanazawa")] == [7, 5, 0]
    assert copies.behind(6) == {"osaka": 1, "kanazawa": 6}
    assert copies.behind(5) == {"kanazawa": 5}


def test_what_can_not_be_is_refused() -> None:
    with pytest.raises(BadValue, match="there is no site nais for copies; did you mean naist"):
        Copies(["naist"], needed=1).acknowledge("nais", 1)
    for needed in (0, 2):
        with pytest.raises(BadValue, match=f"{needed} copies can't be had of 1 sites"):
            Copies(["naist"], needed)
