# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GlusterFS cluster in memory behind the command line, as one of its members sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID
from xml.sax.saxutils import escape

from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed

if TYPE_CHECKING:
    from collections.abc import Sequence

ID = str(UUID(int=7))


class Cluster:
    """Answers `gluster --mode=script --xml`. `changes` are the commands that changed something."""

    def __init__(self, own: str = "10.1.1.11") -> None:
        self.own = own
        self.peers: dict[str, bool] = {}
        self.volumes: dict[str, dict[str, object]] = {}
        self.offline: set[str] = set()
        self.pending: dict[str, int] = {}
        self.split: list[str] = []
        self.changes: list[str] = []
        self.installed = True
        self.moves = 2
        self.refusal: str | None = None
        self.refusal_code = 1
        self.refusals = 10**6

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        if not self.installed:
            return Completed(127, "", "gluster: No such file or directory")
        assert tuple(argv[:3]) == ("gluster", "--mode=script", "--xml")
        words = list(argv[3:])
        reads = words[:2] in (["peer", "status"], ["volume", "info"], ["volume", "status"]) or "info" in words
        if not reads and words[-1] != "status":
            self.changes.append(" ".join(words))
            if self.refusal and self.refusals:
                self.refusals -= 1
                return Completed(
                    self.refusal_code,
                    f"<cliOutput><opRet>-1</opRet><opErrstr>{self.refusal}</opErrstr></cliOutput>",
                    "",
                )
        answer = getattr(self, f"_{words[0]}_{words[1].replace('-', '_')}")(*words[2:])
        return Completed(0, f"<cliOutput><opRet>0</opRet><opErrno>0</opErrno><opErrstr/>{answer or ''}</cliOutput>", "")

    def bricks(self, name: str = "shared") -> list[str]:
        bricks = self.volumes[name]["bricks"]
        assert isinstance(bricks, list)
        return bricks

    def options(self, name: str = "shared") -> dict[str, str]:
        options = self.volumes[name]["options"]
        assert isinstance(options, dict)
        return options

    def _peer_status(self) -> str:
        return "<peerStatus>" + "".join(
            f"<peer><uuid>u</uuid><hostname>{address}</hostname><hostnames><hostname>{address}</hostname></hostnames>"
            f"<connected>{int(connected)}</connected><state>3</state><stateStr>Peer in Cluster</stateStr></peer>"
            for address, connected in self.peers.items()
        ) + "</peerStatus>"  # fmt: skip

    def _peer_probe(self, address: str) -> None:
        self.peers[address] = True

    def _peer_detach(self, address: str) -> None:
        del self.peers[address]

    def _volume_info(self) -> str:
        return "<volInfo><volumes>" + "".join(
            f"<volume><name>{name}</name><id>{ID}</id><statusStr>{volume['status']}</statusStr>"
            f"<replicaCount>{volume['replica']}</replicaCount><bricks>"
            + "".join(f'<brick uuid="u">{place}<name>{place}</name></brick>' for place in self.bricks(name))
            + "</bricks><options>"
            + "".join(
                f"<option><name>{key}</name><value>{escape(value)}</value></option>"
                for key, value in self.options(name).items()
            )
            + "</options></volume>"
            for name, volume in self.volumes.items()
        ) + "<count>1</count></volumes></volInfo>"  # fmt: skip

    def _volume_status(self, name: str) -> str:
        return "<volStatus>" + "".join(
            f"<node><hostname>{place.partition(':')[0]}</hostname><path>{place.partition(':')[2]}</path>"
            f"<status>{int(place not in self.offline)}</status></node>"
            for place in self.bricks(name)
        ) + "<node><hostname>Self-heal Daemon</hostname><path/><status>1</status></node></volStatus>"  # fmt: skip

    def _volume_heal(self, name: str, _info: str, what: str) -> str:
        if what == "split-brain":
            files = "".join(f'<file gfid="g">{file}</file>' for file in self.split)
            return (
                f"<healInfo><bricks><brick><name>b</name>{files}<status>Connected</status></brick></bricks></healInfo>"
            )
        return "<healInfo><bricks>" + "".join(
            f"<brick><name>{place}</name><status>Connected</status>"
            f"<totalNumberOfEntries>{self.pending.get(place, 0)}</totalNumberOfEntries></brick>"
            if place not in self.offline
            else f"<brick><name>{place}</name><status>Transport endpoint is not connected</status>"
            "<totalNumberOfEntries>-</totalNumberOfEntries></brick>"
            for place in self.bricks(name)
        ) + "</bricks></healInfo>"  # fmt: skip

    def _volume_create(self, name: str, *words: str) -> None:
        assert words[0] == "replica"
        assert words[2:4] == ("transport", "tcp")
        bricks = [word for word in words[4:] if word != "force"]
        self.volumes[name] = {"replica": int(words[1]), "bricks": bricks, "status": "Created", "options": {}}

    def _volume_set(self, name: str, *words: str) -> None:
        if name != "all":
            self.options(name).update(zip(words[::2], words[1::2], strict=True))

    def _volume_start(self, name: str, force: str = "") -> None:
        self.volumes[name]["status"] = "Started"
        if force:
            self.offline.clear()

    def _volume_stop(self, name: str, _force: str) -> None:
        self.volumes[name]["status"] = "Stopped"

    def _volume_delete(self, name: str) -> None:
        del self.volumes[name]

    def _volume_replace_brick(self, name: str, gone: str, come: str, *words: str) -> None:
        assert words == ("commit", "force")
        bricks = self.bricks(name)
        bricks[bricks.index(gone)] = come

    def _volume_reset_brick(self, name: str, place: str, *words: str) -> None:
        if words[-1] == "force":
            assert words == (place, "commit", "force")
            self.offline.discard(place)

    def _volume_add_brick(self, name: str, *words: str) -> None:
        bricks = [word for word in words if word != "force"]
        if words[0] == "replica":
            self.volumes[name]["replica"] = int(words[1])
            bricks = bricks[2:]
        self.bricks(name).extend(bricks)

    def _volume_rebalance(self, name: str, _start: str) -> None:
        pass

    def _volume_remove_brick(self, name: str, *words: str) -> str | None:
        if words[-1] == "status":
            self.moves -= 1
            state = "in progress" if self.moves > 0 else "completed"
            return f"<volRemoveBrick><node><statusStr>{state}</statusStr></node></volRemoveBrick>"
        if words[-1] in ("commit", "force"):
            gone = set(words)
            self.volumes[name]["bricks"] = [place for place in self.bricks(name) if place not in gone]
            if words[0] == "replica":
                self.volumes[name]["replica"] = int(words[1])
        return None
