"""The part of docker's `--format` that scripts use: `json`, `{{json .}}`, `{{.A.B}}`, tables."""

import json
import re
from collections.abc import Mapping, Sequence

_PLACEHOLDER = re.compile(r"\{\{\s*(json\s+)?\.([\w.]*)\s*\}\}")


def render(
    template: str | None,
    rows: Sequence[Mapping[str, object]],
    columns: Sequence[str],
    *,
    as_list: bool = False,
) -> str:
    """The rows by `template`, or as a table of `columns` where no template is given."""
    if as_list:
        return json.dumps(list(rows), indent=4) + "\n"
    if template is None:
        return _table(rows, columns)
    template = {"json": "{{json .}}"}.get(template, template.removeprefix("table "))
    return "".join(_fill(template, row) + "\n" for row in rows)


def _table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    lines = [[name.upper() for name in columns]]
    lines += [[str(row[name]) for name in columns] for row in rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return "".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def _fill(template: str, row: Mapping[str, object]) -> str:
    def value_of(match: re.Match[str]) -> str:
        value: object = row
        for name in filter(None, match[2].split(".")):
            value = value.get(name, "<no value>") if isinstance(value, Mapping) else "<no value>"
        if match[1]:
            return json.dumps(value, separators=(",", ":"))
        return str(value).lower() if isinstance(value, bool) else str(value)

    return _PLACEHOLDER.sub(value_of, template).replace("\\t", "\t")
