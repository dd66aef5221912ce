"""How a column travels: in which form PostgreSQL sends its values, cut to size, and what is left to do for us.

What JSON carries exactly comes as it is; the rest comes as text, or as JSON that PostgreSQL has written. A form is
chosen for a whole column, so that no value needs a decision of its own here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pegboard_postgres import values
from pegboard_postgres.driver import Type

Finish = Callable[[list[Any]], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Form:
    """What SQL makes of a value `{c}`, how SQL cuts it, and what `finish` does to all values of the column."""

    render: str = "{c}"
    cut: str = "{c}"
    finish: Finish | None = None


_CUT_TEXT = (
    "CASE WHEN octet_length({c}) <= {most} OR length({c}) <= {most} THEN {c} "
    "ELSE left({c}, {most}) || '…(+' || length({c}) - {most} || ' chars)' END"
)
# Only the bytes that are shown are read and written as hex.
_CUT_BYTES = (
    "CASE WHEN octet_length({c}) <= {most} / 2 - 1 THEN {c}::text ELSE '\\x' || "
    "encode(substring({c} from 1 for {most} / 2), 'hex') || "
    "'…(+' || 2 * (octet_length({c})::int8 - {most} / 2) || ' chars)' END"
)
# A string is cut as what it says, anything else as its JSON text; either way the result is a JSON string.
_CUT_JSON = (
    "CASE WHEN octet_length({c}) <= {most} THEN {c} ELSE ("
    "SELECT CASE WHEN length(t) <= {most} THEN {c} "
    "ELSE to_json(left(t, {most}) || '…(+' || length(t) - {most} || ' chars)')::text END "
    "FROM (SELECT CASE WHEN left({c}, 1) = '\"' THEN {c}::json #>> '{{}}' ELSE {c} END AS t OFFSET 0) AS _t) END"
)

PLAIN = Form()
TEXT = Form("{c}", _CUT_TEXT)
AS_TEXT = Form("{c}::text", _CUT_TEXT)
SHORT = Form("{c}::text")
JSON = Form("to_json({c})::text", _CUT_JSON, values.documents)

FORMS: dict[str, Form] = {
    **dict.fromkeys(("bool", "int2", "int4"), PLAIN),
    "int8": Form(finish=values.integers),
    "float8": Form(finish=values.floats),
    "float4": Form("{c}::text::float8", finish=values.floats),
    **dict.fromkeys(("text", "varchar"), TEXT),
    **dict.fromkeys(("numeric", "bit", "varbit", "tsvector", "tsquery", "xml", "void"), AS_TEXT),
    **dict.fromkeys(("date", "time", "timetz", "interval", "uuid", "oid", "name", '"char"', "money", "pg_lsn"), SHORT),
    # JSON has the T of ISO 8601 in it, and nothing that would be escaped.
    **dict.fromkeys(("timestamp", "timestamptz"), Form("btrim(to_json({c})::text, '\"')")),
    "bytea": Form(cut=_CUT_BYTES),
    **dict.fromkeys(("json", "jsonb"), Form("{c}::text", _CUT_JSON, values.documents)),
    "numeric[]": Form("to_json({c}::text[])::text", _CUT_JSON, values.documents),
    # A type the server uses for arrays of no certain type, as in pg_stats; no function takes it.
    "anyarray": Form("to_json({c}::text::text[])::text", _CUT_JSON, values.documents),
    **dict.fromkeys(("float4[]", "float8[]"), Form("to_json({c})::text", _CUT_JSON, values.doubles)),
}


def form(type_: Type) -> Form:
    """The form of a column; a type nobody has heard of is JSON, as `to_json` writes it."""
    return FORMS.get(type_.name, JSON) if type_.schema == "pg_catalog" else JSON


@dataclass(frozen=True, slots=True)
class Layout:
    """The forms of the columns of one result."""

    forms: tuple[Form, ...]

    @classmethod
    def of(cls, types: Iterable[Type]) -> "Layout":
        """The layout of a result with columns of these types."""
        return cls(tuple(form(type_) for type_ in types))

    def sql(self, query: str, most: int) -> str:
        """SQL for the rows of `query` in these forms, no value longer than `most` characters."""
        names = [f"c{index}" for index in range(len(self.forms))]
        rendered = ", ".join(f"{form.render.format(c=c)} AS {c}" for form, c in zip(self.forms, names, strict=True))
        cut = ", ".join(form.cut.format(c=c, most=most) for form, c in zip(self.forms, names, strict=True))
        # OFFSET 0 keeps PostgreSQL from computing a value anew wherever it is mentioned; the line break ends a comment.
        return f"SELECT {cut} FROM (SELECT {rendered} FROM ({query}\n) AS _q({', '.join(names)}) OFFSET 0) AS _r"  # noqa: S608

    def rows(self, records: Iterable[Any]) -> list[list[Any]]:
        """What that SQL has answered, as JSON can carry it."""
        rows = [list(record) for record in records]
        for index, form in enumerate(self.forms):
            if form.finish is None:
                continue
            column = [row[index] for row in rows]
            finished = form.finish(column)
            if finished is not column:
                for row, value in zip(rows, finished, strict=True):
                    row[index] = value
        return rows


def quoted(name: str) -> str:
    """The name as it can stand in SQL."""
    return '"' + name.replace('"', '""') + '"'
