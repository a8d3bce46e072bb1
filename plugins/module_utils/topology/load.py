# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a testbed description. The only part of the package that touches a file or YAML."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadInput, BadValue, Problem
from .derive import Testbed, derive
from .schema import UNREADABLE, Item, Problems, read

if TYPE_CHECKING:
    from yaml.nodes import Node

_DEEPEST = 20
_LARGEST = 100_000


def load(path: str | os.PathLike[str]) -> Testbed:
    """Give the testbed that the file describes; raise `BadInput` with all that is wrong with it."""
    problems = Problems(os.fspath(path))
    return _testbed(parse_file(path, problems), problems)


def loads(text: str, file: str = "testbed.yml") -> Testbed:
    """Give the testbed that the YAML `text` describes; `file` is the name that problems carry."""
    problems = Problems(file)
    return _testbed(parse(text, problems), problems)


def parse_file(path: str | os.PathLike[str], problems: Problems) -> Item | None:
    """Give the YAML file with the place of every value; what can't be read goes to `problems`."""
    name = os.fspath(path)
    try:
        return parse(Path(name).expanduser().read_text(encoding="utf-8"), problems)
    except OSError as error:
        problems.found.append(Problem(name, None, "", f"cannot be read: {error.strerror}"))
    except UnicodeDecodeError as error:
        problems.found.append(Problem(name, None, "", f"is not UTF-8: {error.reason}"))
    return None


def _testbed(root: Item | None, problems: Problems) -> Testbed:
    testbed = derive(read(root, problems), problems) if root is not None else None
    if testbed is None or problems.found:
        raise BadInput(sorted(problems.found, key=lambda problem: problem.line or 0))
    return testbed


def parse(text: str, problems: Problems) -> Item | None:
    """Give the YAML `text` with the place of every value; what can't be read goes to `problems`."""
    return _Tree(problems).parse(text)


class _Tree:
    """YAML to `Item`s, each with its line and key. Problems on the way are recorded, and their values left out."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._size = 0

    def parse(self, text: str) -> Item | None:
        import yaml

        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            if node is not None:
                return self._item(node, node.start_mark.line + 1, "", 0)
            self._problems.add(Item(None, 1, ""), "the description is empty")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._problems.add(
                Item(None, mark.line + 1 if mark else 1, ""), f"not YAML: {error.problem or error.context}"
            )
        except yaml.YAMLError as error:
            self._problems.add(Item(None, 1, ""), f"not YAML: {str(error).splitlines()[0]}")
        except RecursionError:
            self._problems.add(Item(None, 1, ""), "nested too deeply")
        except BadValue as error:
            self._problems.add(Item(None, 1, ""), error.message)
        return None

    def _item(self, node: Node, line: int, key: str, depth: int) -> Item:
        import yaml

        self._size += 1
        if depth > _DEEPEST or self._size > _LARGEST:
            raise BadValue("nested too deeply, or an alias refers to itself")
        if isinstance(node, yaml.MappingNode):
            return Item(self._mapping(node, key, depth), line, key)
        if isinstance(node, yaml.SequenceNode):
            children = enumerate(node.value)
            return Item(
                [self._item(child, child.start_mark.line + 1, f"{key}[{i}]", depth + 1) for i, child in children],
                line,
                key,
            )
        item = Item(UNREADABLE, line, key)
        try:
            return Item(yaml.constructor.SafeConstructor().construct_object(node), line, key)
        except yaml.constructor.ConstructorError:
            self._problems.add(item, f"the tag {node.tag} has no meaning here")
        except (ValueError, LookupError, ArithmeticError, AttributeError, TypeError):
            self._problems.add(item, "cannot be read as a value; put it in quotes if it is text")
        return item

    def _mapping(self, node: Node, key: str, depth: int) -> dict[str, Item]:
        items: dict[str, Item] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line + 1
            name = self._item(name_node, line, key, depth + 1).value
            if not isinstance(name, str) or not name:
                self._problems.add(
                    Item(None, line, key), f"the key {_source(name_node)} is not a word; put it in quotes"
                )
                continue
            place = f"{key}.{name}" if key else name
            if name in items:
                self._problems.add(Item(None, line, place), f"is given twice (first in line {items[name].line})")
                continue
            items[name] = self._item(value_node, line, place, depth + 1)
        return items


def _source(node: Node) -> str:
    return str(node.value)[:40] if isinstance(node.value, str) else "that is itself a list or mapping"
