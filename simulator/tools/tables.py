"""Reading the tables that the simulator keeps for the tools: a header line, then rows, by tabs."""

Row = dict[str, str]


def read_table(state_dir: str, name: str) -> list[Row]:
    """The rows of `name`; none where the machine has no such table.

    The simulator replaces the file as a whole, so that a reader sees one moment.
    """
    try:
        with open(f"{state_dir}/{name}.tsv", encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    header = lines[0].split("\t")
    return [dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:]]


def render_table(rows: list[Row]) -> str:
    """The text that `read_table` reads; all rows carry the same keys."""
    if not rows:
        return "empty\n"
    lines = ["\t".join(rows[0])] + ["\t".join(row.values()) for row in rows]
    return "\n".join(lines) + "\n"
