"""`make chart-docs`: the table of values in the chart's README, made of values.yaml. PyYAML.

A value's meaning is the comment at the end of its line. What is written in one line (`{…}`) is one value.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.kube.rendered import CHART

README = CHART / "README.md"
VALUES = CHART / "values.yaml"
BEGIN, END = "<!-- values: made by `make chart-docs` -->\n", "<!-- end of the values -->"


class NotDocumented(Exception):
    """A value without a comment; the message names it and its line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A row: the dotted path, the default as JSON, what it means."""

    path: str
    default: str
    meaning: str


def values(text: str) -> list[Value]:
    """Read a values file. Raises NotDocumented."""
    lines = text.splitlines()
    return [_value(path, node, lines) for path, node in _leaves(yaml.compose(text, yaml.SafeLoader), ())]


def table(rows: list[Value]) -> str:
    """Give the rows as Markdown."""
    head = "| value | default | meaning |\n| --- | --- | --- |\n"
    return head + "".join(f"| `{row.path}` | `{row.default}` | {row.meaning} |\n" for row in rows)


def with_table(page: str, rows: str) -> str:
    """Give the page with the table between its two marks. Raises ValueError where they are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no place for the table: {BEGIN.strip()} … {END}")
    return f"{before}{BEGIN}\n{rows}\n{END}{after}"


def _leaves(node: yaml.Node, path: tuple[str, ...]) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        for key, nested in node.value:
            yield from _leaves(nested, (*path, key.value))
    else:
        yield ".".join(path), node


def _value(path: str, node: yaml.Node, lines: list[str]) -> Value:
    line = lines[node.end_mark.line]
    comment = re.fullmatch(r" {2}# (.+)", line[node.end_mark.column :])
    if comment is None:
        raise NotDocumented(f"{VALUES.name}:{node.end_mark.line + 1}: {path} does not say what it means")
    default = json.dumps(yaml.safe_load(line[node.start_mark.column : node.end_mark.column]), ensure_ascii=False)
    return Value(path=path, default=default, meaning=comment[1].replace("|", r"\|"))


def main(readme: Path = README) -> int:
    """Write the table into the page."""
    readme.write_text(with_table(readme.read_text(), table(values(VALUES.read_text()))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
