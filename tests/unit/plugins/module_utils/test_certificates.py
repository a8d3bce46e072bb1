# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An authority, with OpenSSL itself."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.certificates import Authority, Wish, issued
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import Outcome, reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import SubprocessRunner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed

ROTATION = Wish(renew=["b"], revoked=["c"])


class Stopped(Exception):  # noqa: N818
    """The controller died."""


class Mortal(SubprocessRunner):
    """Dies instead of running its command number `lives`."""

    def __init__(self, lives: int) -> None:
        self.lives = lives

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        self.lives -= 1
        if self.lives < 0:
            raise Stopped
        return super().run(argv, input, timeout)


def bring(directory: Path, names: Sequence[str], wish: Wish | None = None, check: bool = False) -> Outcome:
    return bring_it(Authority(SubprocessRunner(), directory, names, wish), check)


def bring_it(desire: Authority, check: bool = False) -> Outcome:
    return reconcile(
        "present", check, read=desire.read, want=desire.want, create=desire.create, remove=desire.remove
    )  # fmt: skip


def openssl(what: str, *arguments: Any, rc: int = 0) -> str:
    done = subprocess.run(["openssl", what, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == rc, done.stderr
    return done.stdout + done.stderr


def revoked(directory: Path, certificate: Path) -> bool:
    """Tell whether who looks at the list refuses `certificate`."""
    argv = ["openssl", "verify", "-crl_check", "-CAfile", directory / "ca.pem", "-CRLfile", directory / "crl.pem"]
    done = subprocess.run([*argv, certificate], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) != ("certificate revoked" in done.stderr), done.stderr
    return done.returncode != 0


def test_it_issues_what_openssl_believes(tmp_path: Path) -> None:
    directory = tmp_path / "authority"
    assert bring(directory, ["a-kvm1", "b-kvm1"], check=True).changed
    assert not directory.exists()
    assert bring(directory, ["a-kvm1", "b-kvm1"]).changed
    assert not bring(directory, ["a-kvm1", "b-kvm1"]).changed
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.glob("*.key")} == {0o600}
    assert {path.name for path in directory.iterdir()} == {
        "a-kvm1.key", "a-kvm1.pem", "b-kvm1.key", "b-kvm1.pem", "ca.key", "ca.pem", "crl.pem",
        "index.txt", "index.txt.attr", "index.txt.attr.old", "index.txt.old", "issued",
    }  # fmt: skip
    kept = (directory / "a-kvm1.pem").read_bytes()
    assert openssl("x509", "-noout", "-subject", "-in", directory / "b-kvm1.pem").strip().endswith("b-kvm1")
    (directory / "b-kvm1.key").unlink()
    assert issued(bring(directory, ["a-kvm1", "b-kvm1"])) == {"b-kvm1": "there is none"}
    assert (directory / "a-kvm1.pem").read_bytes() == kept
    key = openssl("pkey", "-pubout", "-in", directory / "b-kvm1.key")
    assert key == openssl("x509", "-noout", "-pubkey", "-in", directory / "b-kvm1.pem")


@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_a_certificate_is_good_for_both_ends(tmp_path: Path, purpose: str) -> None:
    bring(tmp_path, ["a"], Wish(subject="Okiagari agents", days=90))
    strict = ("-x509_strict", "-purpose", purpose, "-CAfile", tmp_path / "ca.pem")
    openssl("verify", *strict, "-verify_hostname", "a", tmp_path / "a.pem")
    said = openssl("x509", "-noout", "-text", "-in", tmp_path / "a.pem")
    # QEMU refuses a critical key usage that doesn't say keyEncipherment.
    for words in ("Version: 3", "X509v3 Key Usage: \n", "Digital Signature\n", "CA:FALSE", "Authority Key Identifier"):
        assert words in said
    own = openssl("x509", "-noout", "-text", "-in", tmp_path / "ca.pem")
    for words in ("CN = Okiagari agents", "CA:TRUE", "Key Usage: critical\n", "Certificate Sign, CRL Sign\n"):
        assert words in own
    openssl("x509", "-noout", "-checkend", 89 * 86400, "-in", tmp_path / "a.pem")
    openssl("x509", "-noout", "-checkend", 91 * 86400, "-in", tmp_path / "a.pem", rc=1)


def test_a_certificate_is_good_for_its_name_and_addresses(tmp_path: Path) -> None:
    addresses = {"a-kvm1": ["192.0.2.1", "2001:db8::1"]}
    bring(tmp_path, ["a-kvm1", "172.30.4.201"], Wish(addresses=addresses))
    for name, option, value in (
        ("a-kvm1", "-checkhost", "a-kvm1"),
        ("a-kvm1", "-checkip", "192.0.2.1"),
        ("a-kvm1", "-checkip", "2001:db8::1"),
        ("172.30.4.201", "-checkip", "172.30.4.201"),
    ):
        assert "does match" in openssl("x509", "-noout", option, value, "-in", tmp_path / f"{name}.pem")


@pytest.mark.parametrize("folder", ["a $b", "#c", "d\\e 'f\"", "京都"])
def test_a_folder_may_be_called_anything(tmp_path: Path, folder: str) -> None:
    directory = tmp_path / folder
    assert bring(directory, ["a"], Wish(revoked=["b"])).changed
    assert not bring(directory, ["a"], Wish(revoked=["b"])).changed


def test_other_addresses_make_another_certificate(tmp_path: Path) -> None:
    names = ["a", "b"]
    bring(tmp_path, names, Wish(addresses={"a": ["192.0.2.1"], "b": ["2001:DB8:0::2"]}))
    moved = Wish(addresses={"a": ["192.0.2.9"], "b": ["2001:db8::2"]})
    why = {"a": "it is for DNS:a, IP:192.0.2.1, not DNS:a, IP:192.0.2.9"}
    would = bring(tmp_path, names, moved, check=True)
    assert (would.before["certificates"], issued(would)) == ({**why, "b": "good"}, why)
    assert bring(tmp_path, names, moved) == would
    assert not bring(tmp_path, names, moved).changed
    # The old one is as good as it was: it may be in use until the new one has been brought to its host.
    assert "does match" in openssl("x509", "-noout", "-checkip", "192.0.2.9", "-in", tmp_path / "a.pem")
    assert not any(revoked(tmp_path, certificate) for certificate in (tmp_path / "issued").iterdir())


def test_one_that_ends_soon_is_replaced(tmp_path: Path) -> None:
    bring(tmp_path, ["a"], Wish(days=20))
    assert not bring(tmp_path, ["a"], Wish(days=20)).changed
    assert issued(bring(tmp_path, ["a"])) == {"a": "it ends within 30 days"}


def test_it_does_not_believe_strangers(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for directory in (one, other):
        bring(directory, ["a"])
    (one / "a.pem").write_bytes((other / "a.pem").read_bytes())
    assert issued(bring(one, ["a"])) == {"a": "it is of another authority"}


def test_a_rotation(tmp_path: Path) -> None:
    bring(tmp_path, ["a", "b"])
    old = {name: (tmp_path / f"{name}.pem").read_bytes() for name in "ab"}
    listed = (tmp_path / "crl.pem").stat().st_ino
    renew = Wish(renew=["b"])
    would = bring(tmp_path, ["a", "b"], renew, check=True)
    assert issued(would) == {"b": "another one was asked for"}
    assert (tmp_path / "b.pem").read_bytes() == old["b"]
    assert bring(tmp_path, ["a", "b"], renew) == would
    assert (tmp_path / "a.pem").read_bytes() == old["a"]
    assert (tmp_path / "crl.pem").stat().st_ino == listed
    (tmp_path / "old").write_bytes(old["b"])
    assert (tmp_path / "b.pem").read_bytes() != old["b"]
    assert not revoked(tmp_path, tmp_path / "old")


def test_all_that_a_revoked_name_ever_got_is_refused(tmp_path: Path) -> None:
    bring(tmp_path, ["a", "b"])
    bring(tmp_path, ["a", "b"], Wish(renew=["b"]))
    given = list((tmp_path / "issued").iterdir())
    lost = Wish(revoked=["b"])
    would = bring(tmp_path, ["a", "b"], lost, check=True)
    assert (would.before["revoked"], would.after["revoked"], issued(would)) == ([], ["b"], {})
    assert not any(revoked(tmp_path, certificate) for certificate in given)
    assert bring(tmp_path, ["a", "b"], lost) == would
    assert not bring(tmp_path, ["a", "b"], lost).changed
    assert sum(revoked(tmp_path, certificate) for certificate in given) == 2
    assert not revoked(tmp_path, tmp_path / "a.pem")
    assert not list(tmp_path.glob("b.*"))
    # Believed again, it gets another one; the lost ones stay lost.
    assert issued(bring(tmp_path, ["a", "b"])) == {"b": "there is none"}
    assert not revoked(tmp_path, tmp_path / "b.pem")
    assert sum(revoked(tmp_path, certificate) for certificate in given) == 2


def test_whoever_is_stopped_in_between_does_the_rest_next_time(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    bring(whole, ["b", "c"])
    lives = 0
    while True:
        directory = tmp_path / str(lives)
        shutil.copytree(whole, directory)
        try:
            bring_it(Authority(Mortal(lives), directory, ["b"], ROTATION))
        except Stopped:
            bring(directory, ["b"], ROTATION)
        else:
            break
        assert revoked(directory, whole / "c.pem")
        assert not revoked(directory, directory / "b.pem")
        key = openssl("pkey", "-pubout", "-in", directory / "b.key")
        assert key == openssl("x509", "-noout", "-pubkey", "-in", directory / "b.pem")
        assert not bring(directory, ["b"], Wish(revoked=["c"])).changed
        lives += 1
    assert lives > 10


@pytest.mark.parametrize(
    ("names", "wish", "problems"),
    [
        (["../x", "a", ""], Wish(), ["names: ../x is not a host's name", "names: nothing is not a host's name"]),
        (["a-kvm1"], Wish(renew=["a-kmv1"]), ["renew: a-kmv1 is none of the names; did you mean a-kvm1?"]),
        (["a"], Wish(renew=["a"], revoked=["a"]), ["renew: a is revoked, too: leave it out of one of the two"]),
        (["a"], Wish(addresses={"a": ["10.0.0"]}), ["addresses: a: 10.0.0 is not an IP address"]),
        (["a"], Wish(addresses={"a": "10.0.0.1"}), ["addresses: a: 10.0.0.1 is not a list of IP addresses"]),
        (["a"], Wish(addresses={"b": ["10.0.0.1"]}), ["addresses: b is none of the names; did you mean a?"]),
        (["a"], Wish(subject="a/O=b"), ["subject: a/O=b is not a name of letters, digits and spaces"]),
        (["a"], Wish(days=0), ["days: 0 is not a number from 1 to 3650"]),
    ],
)
def test_what_is_refused(tmp_path: Path, names: list[str], wish: Wish, problems: list[str]) -> None:
    with pytest.raises(BadInput) as refused:
        Authority(SubprocessRunner(), tmp_path, names, wish)
    assert str(refused.value).splitlines() == problems


def test_a_name_that_nobody_knows_is_told(tmp_path: Path) -> None:
    wish = Wish(revoked=["a-kmv1", "b-kvm1"])
    bring(tmp_path, ["a-kvm1", "b-kvm1"])
    assert Authority(SubprocessRunner(), tmp_path, [], wish).strangers() == [
        "a-kmv1 has never had a certificate of this authority; did you mean a-kvm1?"
    ]


def test_its_owner_removes_it(tmp_path: Path) -> None:
    with pytest.raises(OkiagariError, match="delete its folder"):
        Authority(SubprocessRunner(), tmp_path, []).remove()
