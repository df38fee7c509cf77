#!/usr/bin/env python3
"""Reads a block with other people's Parquet readers.

    open_formats.py BLOCK_DIRECTORY

Every Parquet file is read by pyarrow and by DuckDB: rows, and for each column
a sum that both must agree on, then the counts that block.json claims. Exits
with 1 and says what differs.
"""

import json
import pathlib
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq


def arrow_sum(column):
    """A number per column: the sum of numbers, the bytes of texts."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    total = 0
    for value in column.to_pylist():
        if isinstance(value, str):
            total += len(value.encode())
        elif isinstance(value, bytes):
            total += len(value)
        elif value is not None:
            total += value
    return total


def duck_sum(db, path, name, kind):
    column = '"' + name.replace('"', '""') + '"'
    if kind == "VARCHAR":
        column = f"octet_length(encode({column}))"
    elif kind == "BLOB":
        column = f"octet_length({column})"
    return db.execute(f"SELECT coalesce(sum({column}), 0) FROM '{path}'").fetchone()[0]


def check_file(db, path):
    """Compares the readers' views of one file; returns its rows."""
    table = pq.read_table(path)
    rows = db.execute(f"SELECT count(*) FROM '{path}'").fetchone()[0]
    assert rows == table.num_rows, f"{path.name}: duckdb {rows} rows, pyarrow {table.num_rows}"
    described = db.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
    kinds = {row[0]: row[1] for row in described}
    assert list(kinds) == table.column_names, f"{path.name}: duckdb's columns are {list(kinds)}"
    sums = {}
    for name in table.column_names:
        theirs = arrow_sum(table[name])
        ours = duck_sum(db, path, name, kinds[name])
        close = abs(theirs - ours) <= 1e-9 * max(1.0, abs(theirs))
        assert close, f"{path.name}: {name} sums to {theirs} in pyarrow, {ours} in duckdb"
        sums[name] = theirs
    shown = ", ".join(f"{k}={v}" for k, v in list(sums.items())[:8])
    print(f"{path.name}: {rows} rows; {shown}")
    return rows


def main(block):
    meta = json.loads((block / "block.json").read_text())
    counts = meta["counts"]
    db = duckdb.connect()
    rows = {}
    for name, file in meta["files"].items():
        path = block / name
        size = path.stat().st_size
        assert size == file["size"], f"{name}: {size} bytes, block.json says {file['size']}"
        rows[name] = check_file(db, path)

    def ask(query):
        return db.execute(query).fetchone()[0]

    series, samples = block / "series.parquet", block / "samples.parquet"
    labels, shared = block / "labels.parquet", block / "timestamps.parquet"
    claims = {
        "series": (counts["series"], rows["series.parquet"]),
        "chunks": (counts["chunks"], rows["samples.parquet"]),
        "exemplars": (counts["exemplars"], rows.get("exemplars.parquet", 0)),
        "samples": (counts["samples"], ask(f"SELECT coalesce(sum(count), 0) FROM '{samples}'")),
        "histograms": (
            counts["histograms"],
            ask(f"SELECT coalesce(sum(count), 0) FROM '{samples}' WHERE kind = 1"),
        ),
        "rows that series point to": (
            counts["chunks"],
            ask(
                f"SELECT count(*) FROM (SELECT *, file_row_number AS at "
                f"FROM read_parquet('{samples}', file_row_number = true)) AS c "
                f"JOIN '{series}' AS s ON c.series = s.series "
                f"AND c.at >= s.row AND c.at < s.row + s.rows"
            ),
        ),
    }
    if labels.exists():
        claims["named series"] = (
            ask(f"SELECT coalesce(sum(series), 0) FROM '{labels}' WHERE name = '__name__'"),
            ask(f"SELECT count(*) FROM '{series}' WHERE l___name__ <> ''"),
        )
    if shared.exists():
        claims["shared vectors"] = (
            ask(f"SELECT count(*) FROM '{samples}' WHERE ts_id >= 0"),
            ask(
                f"SELECT count(*) FROM '{samples}' AS s JOIN '{shared}' AS t ON s.ts_id = t.id "
                f"WHERE s.ts_first + s.count <= t.count"
            ),
        )
    for name, (claimed, found) in claims.items():
        assert claimed == found, f"{name}: {claimed} claimed, {found} found"
        print(f"{name}: {found}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(pathlib.Path(sys.argv[1]))
    except AssertionError as error:
        sys.exit(f"mismatch: {error}")
