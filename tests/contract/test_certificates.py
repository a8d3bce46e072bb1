# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that are expired, not valid yet, missing, somebody else's or taken away: nobody gets in with them."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.tests.contract.real_agents import Farm, Node, wait_for
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EXPIRED, NOT_YET, GOOD = (-9, -1), (1, 9), (-1, 9)
"""From when until when a certificate holds, in days from now."""


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Give agents of which `a` runs and keeps its connections, and `b` would connect to it."""
    farm = Farm(tmp_path_factory.mktemp("farm"), {"a": ["b"], "b": ["a"]}, [], offset=20)
    farm.certify("e")
    farm.configure(lambda _node: {})
    try:
        farm.nodes["a"].start("run")
        # Its local socket is there before the overlay is.
        wait_for(lambda: listens(farm.nodes["a"].address, farm.port))
        yield farm
    finally:
        farm.end()


def listens(address: str, port: int) -> bool:
    with socket.create_connection((address, port), 1):
        return True


def issue(farm: Farm, folder: Path, days: tuple[int, int], *, of: str = "own") -> Path:
    """Give a folder with a certificate for `b`, its key and the authority: the farm's own, or another one."""
    folder.mkdir(exist_ok=True)
    authority = farm.folder / "authority"
    issuer = x509.load_pem_x509_certificate((authority / "ca.pem").read_bytes())
    signing = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "b")])
    addresses = [x509.IPAddress(ip_address(farm.nodes[each].address)) for each in farm.nodes]
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(issuer.subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0])).not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )  # fmt: skip
    signed = builder.sign(signing if of == "own" else ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    (folder / "b.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "b.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "ca.pem").write_bytes((authority / "ca.pem").read_bytes())
    return folder


def missing(name: str) -> Callable[[Farm, Path], Path]:
    def make(farm: Farm, folder: Path) -> Path:
        (issue(farm, folder, GOOD) / name).unlink()
        return folder

    return make


def of_others(farm: Farm, folder: Path) -> Path:
    """The key of another certificate."""
    other = issue(farm, folder.with_name("other"), GOOD)
    (issue(farm, folder, GOOD) / "b.key").write_bytes((other / "b.key").read_bytes())
    return folder


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda farm, folder: issue(farm, folder, EXPIRED), "b.pem: has expired on"),
        (lambda farm, folder: issue(farm, folder, NOT_YET), "b.pem: is not valid before"),
        (lambda farm, folder: issue(farm, folder, GOOD, of="another"), "b.pem: was not issued by"),
        (of_others, "b.key: doesn't belong to"),
        (missing("b.pem"), "b.pem: is missing: run playbooks/agents.yml"),
        (missing("b.key"), "b.key: is missing: run playbooks/agents.yml"),
        (missing("ca.pem"), "ca.pem: is missing: run playbooks/agents.yml"),
    ],
    ids=["expired", "not yet", "another authority's", "another key", "no certificate", "no key", "no authority"],
)
def test_an_agent_does_not_start_and_says_why(
    farm: Farm, tmp_path: Path, made: Callable[[Farm, Path], Path], said: str
) -> None:
    node, path = farm.nodes["b"], farm.nodes["b"].folder / "agent.json"
    before, files = path.read_text(), made(farm, tmp_path / "files")
    words = node.log.stat().st_size if node.log.exists() else 0
    path.write_text(before.replace(f"{farm.folder}/authority/", f"{files}/"))
    try:
        node.start("run")
        assert node.processes.pop("run").wait(60) == 1
    finally:
        path.write_text(before)
    assert f"{files}/{said}" in node.log.read_bytes()[words:].decode()


@pytest.mark.parametrize(
    ("days", "of", "why"),
    [
        (EXPIRED, "own", "certificate expired"),
        (NOT_YET, "own", "certificate expired"),
        (GOOD, "another", "(unknown ca|decrypt error|bad certificate)"),
        (None, "own", "certificate required"),
    ],
    ids=["expired", "not yet", "another authority's", "none"],
)
def test_an_agent_says_to_whoever_calls_why_it_is_not_let_in(
    farm: Farm, tmp_path: Path, days: tuple[int, int] | None, of: str, why: str
) -> None:
    """Whatever the caller's own program has checked."""
    node = farm.nodes["a"]
    with pytest.raises(ssl.SSLError, match=why):
        call(farm, node, issue(farm, tmp_path / "files", days, of=of) if days else None)


def test_an_agent_lets_in_whoever_is_right(farm: Farm, tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        call(farm, farm.nodes["a"], issue(farm, tmp_path / "files", GOOD))


def call(farm: Farm, node: Node, files: Path | None) -> None:
    """Connect as a neighbour does, and wait for a word; none comes to one who is let in and says nothing."""
    context = ssl.create_default_context(cafile=str(farm.folder / "authority" / "ca.pem"))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if files:
        context.load_cert_chain(files / "b.pem", files / "b.key")
    with (
        socket.create_connection((node.address, farm.port), 10) as plain,
        context.wrap_socket(plain, server_hostname=node.address) as connection,
    ):
        connection.settimeout(1.0)
        connection.recv(1)


@pytest.mark.parametrize(("days", "of"), [(EXPIRED, "own"), (GOOD, "another")], ids=["expired", "another authority's"])
def test_an_agent_calls_nobody_who_is_not_its_peer(
    farm: Farm, tmp_path: Path, days: tuple[int, int], of: str
) -> None:  # fmt: skip
    """It says so to the one who answers in its peer's place."""
    files = issue(farm, tmp_path / "files", days, of=of)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files / "b.pem", files / "b.key")
    node = farm.nodes["b"]
    with socket.create_server((farm.nodes["a"].address, 0)) as listener:
        listener.settimeout(30)
        path = node.folder / "agent.json"
        before = path.read_text()
        there = f"tls/{farm.nodes['a'].address}:"
        path.write_text(before.replace(f"{there}{farm.port}", f"{there}{listener.getsockname()[1]}"))
        try:
            node.start("run")
            accepted, _address = listener.accept()
            with (
                accepted,
                pytest.raises(ssl.SSLError, match=r"(certificate expired|unknown ca|bad certificate|decrypt)"),
            ):
                context.wrap_socket(accepted, server_side=True).recv(1)
        finally:
            path.write_text(before)
            process = node.processes.pop("run")
            process.terminate()
            process.wait(30)


def test_one_who_is_no_peer_any_more_reaches_nobody_though_its_certificate_is_good(farm: Farm) -> None:
    """That is how the role revokes: the peers' files name it no longer."""
    gone = Node(farm, "e", 29)
    gone.configure(["a"], {})
    try:
        gone.start("run")
        wait_for(lambda: gone.ask("status"))
        farm.nodes["b"].start("run")
        wait_for(lambda: farm.nodes["b"].ask("status")[0]["reachable"] == ["a"])
        gone.ask("tell", source="test", values={"word": "from e"})
        farm.nodes["b"].ask("tell", source="test", values={"word": "from b"})
        wait_for(lambda: farm.nodes["a"].ask("query", text="where values.word = 'from b'")[:-1])
        assert gone.ask("status")[0]["reachable"] == []
        assert farm.nodes["a"].ask("query", text="where values.word = 'from e'")[:-1] == []
    finally:
        gone.end()
        farm.nodes["b"].end()
        farm.nodes["b"].processes.clear()
