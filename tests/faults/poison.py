"""One bad row: the database refuses what is written of it, as it would a text it cannot hold."""

import re

from django.db import connection
from psycopg import sql

_TRIGGER = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'poisoned' USING ERRCODE = 'data_exception';
END $$;
CREATE TRIGGER {name} BEFORE {events} ON {table} FOR EACH ROW
    WHEN ({row}.{column}::text = {value}) EXECUTE FUNCTION {name}();
"""


def poison(table: str, value: object, column: str = "id", *, on: str = "INSERT OR UPDATE") -> None:
    """From now on every write (`on`) of the rows of `table` with this value is refused."""
    assert re.fullmatch(r"INSERT|UPDATE|DELETE|INSERT OR UPDATE", on)
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(_TRIGGER).format(
                name=sql.Identifier(f"poison_{table}_{on.split(maxsplit=1)[0].lower()}"),
                events=sql.SQL(on),
                table=sql.Identifier(table),
                row=sql.SQL("OLD" if on == "DELETE" else "NEW"),
                column=sql.Identifier(column),
                value=sql.Literal(str(value)),
            )
        )


def cure(table: str, *, on: str = "INSERT OR UPDATE") -> None:
    """Undo it, where no transaction of the test's own is rolled back."""
    name = sql.Identifier(f"poison_{table}_{on.split(maxsplit=1)[0].lower()}")
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP FUNCTION IF EXISTS {} CASCADE").format(name))
