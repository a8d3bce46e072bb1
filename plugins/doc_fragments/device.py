# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """The option by which a module is told of a device that it reaches itself."""

    DOCUMENTATION = r"""
options:
  device:
    description:
      - A device on which no module can run. It is reached from where the module runs; use C(delegate_to) and localhost.
      - What each kind of device can do, and how it keeps a lease, is in C(docs/reference/devices.md).
      - Without this option the target is where the module runs.
    type: dict
    suboptions:
      os:
        description: What runs on it; V(ios) is IOS-XE.
        type: str
        choices: [ios, iosxr, netconf, vyos]
        required: true
      host:
        description: Its name or address.
        type: str
        required: true
      port:
        description: The port of its SSH or NETCONF server, if it isn't the usual one.
        type: int
      user:
        description: A user of the device who may configure it.
        type: str
        required: true
      password:
        description: The user's password. Without it and O(device.key_file), the SSH agent and the usual keys are tried.
        type: str
      key_file:
        description: The user's private key.
        type: path
      known_hosts:
        description:
          - The file with the device's host key, C(~/.ssh/known_hosts) by default.
          - A device whose key isn't there, or is another one, is refused.
        type: path
      ssh_config:
        description: A file in OpenSSH's format, of which host name, port and proxy are taken.
        type: path
      proxy_command:
        description: A command whose input and output lead to the device, with C(%h) and C(%p) as in OpenSSH.
        type: str
requirements:
  - for O(device), netmiko (V(vyos), V(ios), V(iosxr)) or ncclient (V(netconf)) where the module runs
"""
