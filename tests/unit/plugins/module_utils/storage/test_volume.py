# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a wished volume to a real one, over a cluster in memory."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.desire import VolumeDesire
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.gluster import OPTIONS, Gluster
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.health import await_health, health
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.model import Member, own_address, parse, warnings
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.storage.cluster import ID, Cluster
from hypothesis import given
from hypothesis import strategies as st

SITES = {"hiroshima": 2, "kanazawa": 3, "naist": 2}
MEMBERS = [
    {"name": f"{site}-kvm{number}", "address": f"10.{place}.1.{10 + number}", "site": site}
    for place, (site, count) in enumerate(SITES.items(), 1)
    for number in range(1, count + 1)
]
PATH = "/srv/brick/shared"
PLACES = ["10.1.1.11:/srv/brick/shared", "10.2.1.11:/srv/brick/shared", "10.3.1.11:/srv/brick/shared"]


def brick(host: str, path: str = PATH, **more: Any) -> dict[str, Any]:
    return {"host": host, "path": path, **more}


BRICKS = [brick("hiroshima-kvm1"), brick("kanazawa-kvm1"), brick("naist-kvm1")]


def wish(**changes: Any) -> dict[str, Any]:
    return {"name": "shared", "replica": 3, "members": MEMBERS, "bricks": BRICKS, **changes}


def engine(cluster: Cluster) -> Gluster:
    clock = iter(range(10000))
    return Gluster(cluster, cluster.own, wait=lambda _seconds: None, now=lambda: float(next(clock)))


def bring(cluster: Cluster, check: bool = False, state: str = "present", **changes: Any) -> Any:
    desire = VolumeDesire(engine(cluster), parse({**wish(**changes), "state": state}))
    read = desire.read if state == "present" else desire.volume
    return reconcile(state, check, read=read, want=desire.want, create=desire.create, remove=desire.remove)


@pytest.fixture
def cluster() -> Cluster:
    """A cluster whose volume is up, and whose changes aren't counted yet."""
    cluster = Cluster()
    bring(cluster)
    cluster.changes.clear()
    return cluster


def test_a_new_volume() -> None:
    cluster = Cluster()
    would = bring(cluster, check=True)
    assert (would.changed, cluster.changes) == (True, [])
    done = bring(cluster)
    assert (done.changed, done.before, done.after) == (True, would.before, would.after)
    probed = [change for change in cluster.changes if change.startswith("peer")]
    assert probed == [f"peer probe {member['address']}" for member in MEMBERS if member["address"] != cluster.own]
    rest = cluster.changes[len(probed) :]
    assert rest[0] == f"volume create shared replica 3 transport tcp {' '.join(PLACES)}"
    assert rest[1].startswith("volume set shared ")
    assert rest[2:] == ["volume start shared"]
    assert cluster.options().items() >= OPTIONS.items()
    again = bring(cluster)
    assert (again.changed, cluster.changes[len(probed) + 3 :]) == (False, [])


def test_safety_is_not_optional_by_omission(cluster: Cluster) -> None:
    assert cluster.options()["cluster.server-quorum-type"] == "server"
    assert cluster.options()["cluster.quorum-type"] == "auto"
    assert cluster.options()["cluster.favorite-child-policy"] == "none"
    del cluster.options()["cluster.quorum-type"]
    assert bring(cluster).changed
    assert cluster.changes == ["volume set shared cluster.quorum-type auto"]


def test_an_owners_options(cluster: Cluster) -> None:
    done = bring(cluster, options={"network.ping-timeout": 9, "client.ssl": True})
    assert done.changed
    assert cluster.changes == ["volume set shared network.ping-timeout 9 client.ssl on"]
    assert not bring(cluster, options={"network.ping-timeout": 9, "client.ssl": True}).changed


def test_a_stopped_volume_is_started(cluster: Cluster) -> None:
    cluster.volumes["shared"]["status"] = "Stopped"
    assert bring(cluster).changed
    assert cluster.changes == ["volume start shared"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "Shared!"}, "name: Shared! is not a name: a letter, then up to 39 of a-z, 0-9, _ and -"),
        ({"replica": 2}, "replica: 2 copies can't outvote a lost one, so the volume would split: keep 3 or more"),
        (
            {"bricks": [*BRICKS[:2], brick("kanazawa-kvm2")]},
            "bricks: 3 copies need 3 sites, and there are 2 (hiroshima, kanazawa)",
        ),
        ({"bricks": []}, "bricks: 3 copies need 3 sites, and there are 0"),
        ({"bricks": [*BRICKS, brick("kanazawa-kvm2")]}, "bricks: 4 bricks do not make whole sets of 3 copies"),
        (
            {"bricks": [*BRICKS[:2], brick("nist-kvm1")]},
            "bricks[2].host: there is no member nist-kvm1; did you mean naist-kvm1?",
        ),
        (
            {"bricks": [brick("hiroshima-kvm1", size_mib=100), brick("kanazawa-kvm1", size_mib=90), BRICKS[2]]},
            "which the smallest would be full first: hiroshima-kvm1 100 MiB, kanazawa-kvm1 90 MiB",
        ),
        (
            {"bricks": [brick("hiroshima-kvm1", root=True), *BRICKS[1:]]},
            "bricks.hiroshima-kvm1: /srv/brick/shared is on the root file system, which a full volume would stop",
        ),
        ({"bricks": [*BRICKS[:2], brick("naist-kvm1", "srv")]}, "bricks[2].path: srv is not a folder's absolute path"),
        (
            {"bricks": [*BRICKS[:2], brick("naist-kvm1", "/a/../b")]},
            "bricks[2].path: /a/../b is not a folder's absolute path",
        ),
        ({"bricks": [*BRICKS, *BRICKS]}, "bricks: 2 of them are naist-kvm1:/srv/brick/shared"),
        ({"bricks": [*BRICKS[:2], {"hosts": "naist-kvm1"}]}, "did you mean host?"),
        ({"members": [*MEMBERS, MEMBERS[0]]}, "members: 2 of them are at 10.1.1.11"),
        (
            {"members": [*MEMBERS, {"name": "x", "address": "a", "site": "s"}]},
            "members[7].address: a is not an address",
        ),
        ({"members": [*MEMBERS, {"name": "x", "address": "10.9.1.1"}]}, "members[7].site: is missing"),
        ({"options": {"ping": "1"}}, "options.ping: is not the name of an option, such as network.ping-timeout"),
    ],
)
def test_bad_input(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(wish(**changes))
    assert any(problem in str(each) for each in refused.value.problems), str(refused.value)


def test_all_problems_at_once() -> None:
    with pytest.raises(BadInput) as refused:
        parse(wish(name="", replica=1, bricks=[brick("nobody", "x", root=True)], options={"!": 1}))
    assert len(refused.value.problems) >= 6


def test_consent_is_enough_for_the_root_file_system() -> None:
    cluster = Cluster()
    rooted = [brick("hiroshima-kvm1", root=True), *BRICKS[1:]]
    bring(cluster, bricks=rooted, root_consent=True)
    assert cluster.changes[6].endswith(f"{PLACES[2]} force")


def test_a_name_in_use(cluster: Cluster) -> None:
    del cluster.options()["user.okiagari"]
    for state in ("present", "absent"):
        with pytest.raises(BadInput, match="there is a volume shared already, and it is not Okiagari's"):
            bring(cluster, state=state)
    assert cluster.changes == []
    assert bring(cluster, adopt=True).changed
    assert not bring(cluster).changed


@pytest.mark.parametrize("status", ["Created", "Stopped"])
def test_a_creation_that_was_cut_off_is_taken_up_again(cluster: Cluster, status: str) -> None:
    cluster.volumes["shared"].update(options={}, status=status)
    unmarked = [brick(each["host"], volume_id="") for each in BRICKS]
    if status == "Created":
        assert bring(cluster, bricks=unmarked).changed
        assert cluster.changes[-1] == "volume start shared"
        assert not bring(cluster).changed
    else:
        with pytest.raises(BadInput, match="is not Okiagari's"):
            bring(cluster, bricks=unmarked)


def test_a_new_volume_of_somebody_else_is_left_alone(cluster: Cluster) -> None:
    cluster.volumes["shared"].update(options={}, status="Created", bricks=[*reversed(PLACES)])
    with pytest.raises(BadInput, match="is not Okiagari's"):
        bring(cluster)
    assert cluster.changes == []


def test_a_folder_in_use(cluster: Cluster) -> None:
    other = "00000000-0000-0000-0000-000000000009"
    with pytest.raises(BadInput, match=r"bricks\.naist-kvm1: /srv/brick/shared holds data of another volume"):
        bring(cluster, bricks=[*BRICKS[:2], brick("naist-kvm1", volume_id=other)])
    with pytest.raises(BadInput, match="holds data of another volume"):
        bring(Cluster(), bricks=[*BRICKS[:2], brick("naist-kvm1", volume_id=other)])
    assert not bring(cluster, bricks=[*BRICKS[:2], brick("naist-kvm1", volume_id=ID)]).changed


def test_a_brick_is_replaced_by_the_one_at_its_site(cluster: Cluster) -> None:
    changed = bring(cluster, bricks=[BRICKS[0], brick("kanazawa-kvm2"), BRICKS[2]])
    assert changed.changed
    assert cluster.changes == [f"volume replace-brick shared {PLACES[1]} 10.2.1.12:/srv/brick/shared commit force"]
    assert not bring(cluster, bricks=[BRICKS[0], brick("kanazawa-kvm2"), BRICKS[2]]).changed


def test_a_site_is_replaced(cluster: Cluster) -> None:
    tokyo = {"name": "tokyo-kvm1", "address": "10.4.1.11", "site": "tokyo"}
    bring(cluster, members=[*MEMBERS, tokyo], bricks=[BRICKS[0], BRICKS[1], brick("tokyo-kvm1")])
    assert cluster.changes == [
        "peer probe 10.4.1.11",
        f"volume replace-brick shared {PLACES[2]} 10.4.1.11:/srv/brick/shared commit force",
    ]


@pytest.mark.parametrize(
    ("offline", "pending", "problem"),
    [
        (PLACES[0], {}, f"can't be replaced while {PLACES[0]} is offline"),
        (None, {PLACES[0]: 3}, "can't be replaced while 3 entries wait for self-heal"),
    ],
)
def test_the_last_good_copy_is_not_given_away(
    cluster: Cluster, offline: str | None, pending: dict[str, int], problem: str
) -> None:
    cluster.offline |= {offline} if offline else set()
    cluster.pending = pending
    with pytest.raises(BadInput, match=problem):
        bring(cluster, bricks=[BRICKS[0], brick("kanazawa-kvm2"), BRICKS[2]])
    assert cluster.changes == []


def test_a_dead_brick_is_replaced_although_its_copies_wait(cluster: Cluster) -> None:
    cluster.offline, cluster.pending = {PLACES[1]}, {PLACES[0]: 3, PLACES[2]: 3}
    assert bring(cluster, bricks=[BRICKS[0], brick("kanazawa-kvm2"), BRICKS[2]]).changed
    assert cluster.changes[0].startswith("volume replace-brick")


def test_a_brick_that_stopped_is_started(cluster: Cluster) -> None:
    cluster.offline = {PLACES[1]}
    would = bring(cluster, check=True)
    assert (would.changed, would.before["stopped"], would.after["stopped"]) == (True, [PLACES[1]], [])
    assert bring(cluster).changed
    assert cluster.changes == ["volume start shared force"]
    cluster.offline, cluster.peers["10.2.1.11"] = {PLACES[1]}, False
    assert not bring(cluster).changed


def test_a_new_host_is_let_in_before_its_brick_is_one(cluster: Cluster) -> None:
    allowed = {"auth.ssl-allow": "everybody"}
    bring(cluster, bricks=[BRICKS[0], brick("kanazawa-kvm2"), BRICKS[2]], options=allowed)
    assert [change.split()[1] for change in cluster.changes] == ["set", "replace-brick"]


def test_an_exchanged_disk_gets_its_copies_again(cluster: Cluster) -> None:
    empty = [brick("hiroshima-kvm1", volume_id=ID), brick("kanazawa-kvm1", volume_id=""), BRICKS[2]]
    assert not bring(cluster, bricks=empty).changed
    cluster.offline = {PLACES[1]}
    would = bring(cluster, check=True, bricks=empty)
    assert (would.changed, would.before["emptied"], would.after["emptied"]) == (True, [PLACES[1]], [])
    cluster.offline = {PLACES[1], PLACES[2]}
    with pytest.raises(BadInput, match="its disk is empty, but another copy is offline"):
        bring(cluster, bricks=empty)
    cluster.offline = {PLACES[1]}
    assert bring(cluster, bricks=empty).changed
    assert cluster.changes == [
        f"volume reset-brick shared {PLACES[1]} start",
        f"volume reset-brick shared {PLACES[1]} {PLACES[1]} commit force",
    ]


def test_a_whole_set_is_added_and_taken_away(cluster: Cluster) -> None:
    second = [brick(f"{site}-kvm2") for site in SITES]
    assert bring(cluster, bricks=[*BRICKS, *second]).changed
    new = "10.1.1.12:/srv/brick/shared 10.2.1.12:/srv/brick/shared 10.3.1.12:/srv/brick/shared"
    assert cluster.changes == [f"volume add-brick shared {new}", "volume rebalance shared start"]
    cluster.changes.clear()
    with pytest.raises(BadInput, match="would be removed: say so"):
        bring(cluster)
    assert cluster.changes == []
    assert bring(cluster, shrink=True).changed
    assert cluster.changes == [f"volume remove-brick shared {new} start", f"volume remove-brick shared {new} commit"]
    assert sorted(cluster.bricks()) == PLACES


def test_one_more_copy_and_one_less(cluster: Cluster) -> None:
    tokyo = {"name": "tokyo-kvm1", "address": "10.4.1.11", "site": "tokyo"}
    more: dict[str, Any] = {"members": [*MEMBERS, tokyo], "bricks": [*BRICKS, brick("tokyo-kvm1")], "replica": 4}
    assert bring(cluster, **more).changed
    assert cluster.changes[1] == "volume add-brick shared replica 4 10.4.1.11:/srv/brick/shared"
    cluster.changes.clear()
    assert bring(cluster, shrink=True).changed
    assert cluster.changes == [
        "volume remove-brick shared replica 3 10.4.1.11:/srv/brick/shared force",
        "peer detach 10.4.1.11",
    ]


def test_a_member_too_many_stays_unless_shrinking(cluster: Cluster) -> None:
    assert not bring(cluster, members=MEMBERS[:-1]).changed
    assert bring(cluster, members=MEMBERS[:-1], shrink=True).changed
    assert cluster.changes == ["peer detach 10.3.1.12"]


def test_absent(cluster: Cluster) -> None:
    assert bring(cluster, check=True, state="absent", bricks=[]).changed
    assert cluster.changes == []
    assert bring(cluster, state="absent", bricks=[]).changed
    assert cluster.changes == ["volume stop shared force", "volume delete shared"]
    assert not bring(cluster, state="absent", bricks=[]).changed


@pytest.mark.parametrize("code", [0, 1])
def test_a_refusal_is_told_in_its_own_words(cluster: Cluster, code: int) -> None:
    cluster.refusal_code = code
    cluster.refusal = "option: network.pong does not exist"
    with pytest.raises(OkiagariError, match=r"volume set shared network\.pong 1: gluster: option: network"):
        bring(cluster, options={"network.pong": 1})


def test_members_that_do_not_know_each_other_yet_are_given_time(cluster: Cluster) -> None:
    cluster.refusal = "Staging failed on 10.3.1.12. Error: Host 10.2.1.11 not connected"
    cluster.refusals = 3
    assert bring(cluster, options={"network.pong": 1}).changed
    assert cluster.changes == 4 * ["volume set shared network.pong 1"]
    cluster.refusals = 10**6
    with pytest.raises(OkiagariError, match=r"10\.2\.1\.11 not connected"):
        bring(cluster, options={"network.pong": 2})
    # One that isn't there for this member either isn't waited for.
    cluster.peers["10.2.1.11"] = False
    cluster.changes.clear()
    with pytest.raises(OkiagariError, match=r"10\.2\.1\.11 not connected"):
        bring(cluster, options={"network.pong": 2})
    assert len(cluster.changes) == 1


def test_a_host_without_gluster() -> None:
    cluster = Cluster()
    cluster.installed = False
    assert bring(cluster, check=True).changed
    assert not bring(cluster, state="absent").changed
    with pytest.raises(OkiagariError, match="gluster: No such file or directory"):
        bring(cluster)


def test_health(cluster: Cluster) -> None:
    assert health(engine(cluster), "shared") == {
        "peers": {member["address"]: True for member in sorted(MEMBERS, key=lambda member: member["address"])},
        "quorum": True,
        "bricks": dict.fromkeys(PLACES, True),
        "pending": 0,
        "split_brain": [],
        "healthy": True,
    }
    cluster.peers = dict.fromkeys(cluster.peers, False)
    cluster.offline = set(PLACES[1:])
    ill = health(engine(cluster), "shared")
    assert (ill["quorum"], ill["pending"], ill["healthy"]) == (False, -1, False)
    with pytest.raises(OkiagariError, match="there is no volume other here"):
        health(engine(cluster), "other")


def test_split_copies_are_named(cluster: Cluster) -> None:
    cluster.pending, cluster.split = {PLACES[0]: 1}, ["/a", "/b"]
    found = health(engine(cluster), "shared")
    assert (found["pending"], found["split_brain"], found["healthy"]) == (1, ["/a", "/b"], False)


def test_waiting_for_health(cluster: Cluster) -> None:
    cluster.pending = {PLACES[0]: 3}
    time = 0.0

    def wait(seconds: float) -> None:
        nonlocal time
        time += seconds
        cluster.pending[PLACES[0]] -= 1

    state, waited = await_health(engine(cluster), "shared", 10, wait, lambda: time)
    assert (state["healthy"], waited) == (True, 3.0)
    cluster.pending[PLACES[0]] = 99
    state, waited = await_health(engine(cluster), "shared", 2, wait, lambda: time)
    assert (state["healthy"], state["pending"], waited) == (False, 97, 2.0)


def test_warnings_name_the_site_that_all_depends_on() -> None:
    assert warnings(parse(wish()).members) == []
    lone = [Member("a", "10.0.0.1", "x"), Member("b", "10.0.0.2", "x"), Member("c", "10.0.0.3", "y")]
    assert warnings(lone) == ["x has 2 of 3 members: without it there is no majority, and all writing stops"]


def test_own_address() -> None:
    members = parse(wish()).members
    assert own_address(members, "naist-kvm2") == "10.3.1.12"
    with pytest.raises(BadInput, match="there is no member naist-kvm; did you mean naist-kvm"):
        own_address(members, "naist-kvm")


@given(st.lists(st.integers(1, 6), min_size=3, max_size=6), st.randoms(use_true_random=False))
def test_every_set_has_each_copy_at_another_site(counts: list[int], random: Any) -> None:
    members = [
        {"name": f"{site}-{number}", "address": f"10.{site}.0.{number}", "site": str(site)}
        for site, count in enumerate(counts, 1)
        for number in range(1, count + 1)
    ]
    random.shuffle(members)
    bricks = [brick(member["name"]) for member in members]
    possible = len(bricks) % 3 == 0 and max(counts) <= len(bricks) // 3
    try:
        wanted = parse(wish(members=members, bricks=bricks))
    except BadInput:
        assert not possible
        return
    assert possible
    assert sorted(wanted.places) == sorted(f"{member['address']}:{PATH}" for member in members)
    for first in range(0, len(wanted.bricks), 3):
        assert len({wanted.site(place) for place in wanted.places[first : first + 3]}) == 3
