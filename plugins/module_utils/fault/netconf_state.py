# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State entries as ietf-interfaces (RFC 7223, 8343) and ietf-routing (RFC 8022, 8349) have them, and edits of both."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from ..errors import OkiagariError
from . import device
from .owned import FRR_MARK as MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from xml.etree.ElementTree import Element

    from .backend import Op

Entry = dict[str, Any]

_IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
_IP = "urn:ietf:params:xml:ns:yang:ietf-ip"
_RT = "urn:ietf:params:xml:ns:yang:ietf-routing"
_NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
_FAMILIES = {version: f"urn:ietf:params:xml:ns:yang:ietf-ipv{version}-unicast-routing" for version in (4, 6)}
_SPECIAL = ("blackhole", "unreachable", "prohibit")

INTERFACES = f'<interfaces xmlns="{_IF}"/>'
# RFC 7223 keeps the state apart, RFC 8343 beside the configuration.
LINK_STATES = f'<interfaces-state xmlns="{_IF}"/>'
ROUTING = f'<routing xmlns="{_RT}"/>'


def link_entry(config: Element, states: Iterable[Element], name: str) -> Entry:
    """Give whether an interface is set up or down, by its state where the server tells that, else as configured."""
    configured = {_text(each, _IF, "name"): each for each in config.iter(f"{{{_IF}}}interface")}
    if name not in configured:
        return {"missing": sorted(configured)}
    enabled = _text(configured[name], _IF, "enabled") or None
    admin = "down" if enabled == "false" else "up"
    for state in states:
        for each in state.iter(f"{{{_IF}}}interface"):
            if _text(each, _IF, "name") == name:
                admin = _text(each, _IF, "admin-status") or admin
    return {**device.link_entry("up" if admin == "up" else "down"), "enabled": enabled}


def link_ops(name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the edit that sets an interface down, or makes of it what it was; a vanished one stays lost."""
    if "missing" in have or have["admin"] == want["admin"]:
        return []
    enabled = "false" if want["admin"] == "down" else want["enabled"]
    leaf = f"<enabled>{enabled}</enabled>" if enabled else f'<enabled xmlns:nc="{_NC}" nc:operation="remove"/>'
    return [_edit(f'<interfaces xmlns="{_IF}"><interface><name>{escape(name)}</name>{leaf}</interface></interfaces>')]


def nexthop_entry(config: Element, address: str) -> Entry:
    """Give the interface whose configured network holds `address`, if there is one."""
    for interface in config.iter(f"{{{_IF}}}interface"):
        for own in interface.iter():
            if own.tag != f"{{{_IP}}}address":
                continue
            length = _text(own, _IP, "prefix-length") or _text(own, _IP, "netmask")
            with suppress(ValueError):
                network = ipaddress.ip_interface(f"{_text(own, _IP, 'ip')}/{length}")
                if ipaddress.ip_address(address) in network.network and address != str(network.ip):
                    return {"dev": _text(interface, _IF, "name")}
    return {}


def route_entry(config: Element, prefix: str) -> Entry:
    """Give the static route for `prefix` that carries our mark, any other one, and the protocol that has them."""
    ours, others = None, []
    for protocol, route in _routes(config):
        if _prefix(route) != prefix:
            continue
        if _marked(route):
            ours = _target(route)
        else:
            others.append(f"static {prefix} of {_text(protocol, _RT, 'name')}")
    return {"ours": ours, "others": others, "protocol": _static(config)}


def _static(config: Element) -> str:
    """Give the name of the static protocol that is there, or what we call it: there may be one only."""
    for protocol in config.iter(f"{{{_RT}}}control-plane-protocol"):
        if _text(protocol, _RT, "type").rpartition(":")[2] == "static":
            return _text(protocol, _RT, "name")
    return MARK


def _target(route: Element) -> Entry:
    found = {each.tag.rpartition("}")[2]: (each.text or "").strip() for each in route.iter()}
    if "next-hop-address" in found:
        return {"type": "unicast", "via": found["next-hop-address"]}
    return {"type": found.get("special-next-hop")}


def route_ops(prefix: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the edit that adds our route for `prefix`, or the one that removes exactly it."""
    wanted = want["ours"]
    if wanted is None:
        return [] if have["ours"] is None else [removal(have["protocol"], prefix)]
    if have["ours"] and have["ours"] == {key: wanted[key] for key in ("type", "via") if key in wanted}:
        return []
    if have["others"]:
        raise OkiagariError(f"the foreign route '{have['others'][0]}' stands there: left untouched")
    if wanted["type"] in _SPECIAL:
        hop = f"<special-next-hop>{wanted['type']}</special-next-hop>"
    else:
        family = _FAMILIES[ipaddress.ip_address(wanted["via"]).version]
        hop = f'<next-hop-address xmlns="{family}">{wanted["via"]}</next-hop-address>'
    body = f"<description>{MARK}</description><next-hop>{hop}</next-hop>"
    return [_edit(_static_route(have["protocol"], prefix, "", body))]


def removal(protocol: str, prefix: str) -> Op:
    """Give the edit that removes the static route for `prefix`."""
    return _edit(_static_route(protocol, prefix, f' xmlns:nc="{_NC}" nc:operation="remove"', ""))


def marked(config: Element) -> Iterator[tuple[str, str]]:
    """Give the protocol and the prefix of each static route that carries our mark."""
    for protocol, route in _routes(config):
        if _marked(route):
            yield _text(protocol, _RT, "name"), _prefix(route)


def _routes(config: Element) -> Iterator[tuple[Element, Element]]:
    for protocol in config.iter(f"{{{_RT}}}control-plane-protocol"):
        for namespace in _FAMILIES.values():
            for route in protocol.iter(f"{{{namespace}}}route"):
                yield protocol, route


def _prefix(route: Element) -> str:
    return _text(route, route.tag[1:].partition("}")[0], "destination-prefix")


def _marked(route: Element) -> bool:
    return _text(route, route.tag[1:].partition("}")[0], "description") == MARK


def _static_route(protocol: str, prefix: str, attributes: str, body: str) -> str:
    version = ipaddress.ip_network(prefix).version
    return (
        f'<routing xmlns="{_RT}"><control-plane-protocols><control-plane-protocol>'
        f'<type xmlns:rt="{_RT}">rt:static</type><name>{escape(protocol)}</name>'
        f'<static-routes><ipv{version} xmlns="{_FAMILIES[version]}">'
        f"<route{attributes}><destination-prefix>{prefix}</destination-prefix>{body}</route>"
        f"</ipv{version}></static-routes></control-plane-protocol></control-plane-protocols></routing>"
    )


def _edit(xml: str) -> Op:
    return ("edit-config", xml)


def _text(element: Element, namespace: str, name: str) -> str:
    return (element.findtext(f"{{{namespace}}}{name}") or "").strip()
