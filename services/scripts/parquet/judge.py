#!/usr/bin/env python3
"""Judges the Parquet bridge in both directions: files of pyarrow, DuckDB and Polars must read as pyarrow reads them, and what the bridge writes must
read alike in all three.

    services/scripts/parquet/judge.py            needs `pip install -r services/scripts/parquet/requirements.txt`
    services/scripts/parquet/judge.py --golden   makes the small files of Tests/Bridges/ParquetTests/Golden anew
"""
import datetime
import decimal
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

import duckdb
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "Tests/Bridges/ParquetTests/Golden"


def values(array):
    """The lines of a column; the form is described in Tests/Bridges/ParquetTests/Support.swift."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.cast(kind.value_type), kind.value_type
    if pa.types.is_decimal(kind):
        for value in array.to_pylist():
            if value is None:
                yield "-"
            elif kind.precision <= 18:
                yield str(int(value.scaleb(kind.scale)))
            else:
                yield f"{value:.11e}" if value == 0 else "%.11e" % float(value)
        return
    if pa.types.is_temporal(kind):
        array = array.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
        kind = array.type
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        array, kind = array.cast(pa.float64()), pa.float64()
    for value in array.to_pylist():
        if value is None:
            yield "-"
        elif isinstance(value, bool):
            yield "1" if value else "0"
        elif isinstance(value, int):
            yield str(value)
        elif isinstance(value, float):
            yield "nan" if value != value else struct.pack(">d", value).hex()
        else:
            yield "x" + (value.encode() if isinstance(value, str) else value).hex()


def dump(table):
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    lines = []
    for name, column in zip(table.column_names, table.columns):
        lines.append(f"# {name}")
        lines += values(column)
    return "\n".join(lines) + "\n"


def example(rows, seed):
    rng = random.Random(seed)
    some = lambda make: [None if rng.random() < 0.2 else make(i) for i in range(rows)]
    every = lambda make: [make(i) for i in range(rows)]
    at = 1_700_000_000_000
    ints = lambda make, kind: pa.array(some(make), pa.int64()).cast(kind)
    return pa.table({
        "flag": pa.array(some(lambda i: rng.random() < 0.3)),
        "i8": ints(lambda i: rng.randrange(-128, 128), pa.int8()),
        "u16": ints(lambda i: rng.randrange(1 << 16), pa.uint16()),
        "i32": pa.array(every(lambda i: rng.randrange(-(1 << 31), 1 << 31)), pa.int32()),
        "u32": ints(lambda i: rng.randrange(1 << 32), pa.uint32()),
        "i64": pa.array(some(lambda i: rng.randrange(-(1 << 63), 1 << 63)), pa.int64()),
        "u64": pa.array(some(lambda i: rng.randrange(1 << 64)), pa.uint64()),
        "rising": pa.array(every(lambda i: at + i * 1000 + rng.randrange(3)), pa.int64()),
        "few": pa.array(every(lambda i: rng.randrange(4)), pa.int64()),
        "float": pa.array(some(lambda i: rng.gauss(0, 1)), pa.float32()),
        "double": pa.array(some(lambda i: float("nan") if i % 50 == 7 else rng.gauss(0, 1)), pa.float64()),
        "text": pa.array(some(lambda i: rng.choice(["", "sensor-1", "größe", "漢字"]))),
        "path": pa.array(every(lambda i: f"/building/{i // 10}/room/{rng.randrange(1000)}")),
        "bytes": pa.array(some(lambda i: rng.randbytes(rng.randrange(8))), pa.binary()),
        "fixed": pa.array(some(lambda i: rng.randbytes(5)), pa.binary(5)),
        "day": ints(lambda i: rng.randrange(-10000, 30000), pa.int32()).cast(pa.date32()),
        "ms": ints(lambda i: at + i, pa.timestamp("ms", "UTC")),
        "us": ints(lambda i: at * 1000 + i, pa.timestamp("us")),
        "clock": ints(lambda i: rng.randrange(86_400_000), pa.int32()).cast(pa.time32("ms")),
        "clock_us": ints(lambda i: rng.randrange(86_400_000_000), pa.time64("us")),
        "price": pa.array(some(lambda i: decimal.Decimal(rng.randrange(-10**8, 10**8)).scaleb(-2)), pa.decimal128(9, 2)),
        "wide": pa.array(some(lambda i: decimal.Decimal(rng.randrange(-10**15, 10**15)).scaleb(-4)), pa.decimal128(18, 4)),
        "huge": pa.array(some(lambda i: decimal.Decimal(rng.randrange(-10**29, 10**29)).scaleb(-6)), pa.decimal128(30, 6)),
        "nested": pa.array(some(lambda i: {"x": None if i % 5 == 0 else float(i), "in": {"name": f"n{i % 3}"}})),
    })


NANOSECONDS = {"ns": pa.array([1_700_000_000_123_456_789 + i * 7 if i % 4 else None for i in range(40)], pa.timestamp("ns"))}
DELTAS = {
    **{name: "DELTA_BINARY_PACKED" for name in ["i8", "u16", "i32", "u32", "i64", "u64", "rising", "few", "ms", "us", "day"]},
    **{name: "DELTA_BYTE_ARRAY" for name in ["path", "fixed"]}, "text": "DELTA_LENGTH_BYTE_ARRAY", "bytes": "DELTA_BYTE_ARRAY",
    "float": "BYTE_STREAM_SPLIT", "double": "BYTE_STREAM_SPLIT", "flag": "RLE",
}
SPLIT = {name: "BYTE_STREAM_SPLIT" for name in ["i32", "i64", "fixed", "float", "double"]}


def make(folder, rows):
    def save(name, **options):
        pq.write_table(table, folder / f"{name}.parquet", **options)

    table = example(rows, 1)
    for codec in ["NONE", "SNAPPY", "GZIP", "ZSTD", "LZ4"]:
        for version in ["1.0", "2.0"]:
            save(f"pyarrow-{codec.lower()}-v{version[0]}", compression=codec, data_page_version=version, row_group_size=max(rows // 2, 1))
    for version in ["1.0", "2.0"]:
        for encodings, name in [(DELTAS, "delta"), (SPLIT, "split")]:
            save(f"pyarrow-{name}-v{version[0]}", data_page_version=version, use_dictionary=False, column_encoding=encodings, compression="ZSTD")
        save(f"pyarrow-plain-v{version[0]}", data_page_version=version, use_dictionary=False, compression="NONE", data_page_size=200)
    save("pyarrow-format-1", version="1.0")
    save("pyarrow-overflow", dictionary_pagesize_limit=100, data_page_size=100)
    table = example(0, 1)
    save("pyarrow-empty")
    table = pa.table(NANOSECONDS)
    save("pyarrow-ns")
    save("pyarrow-int96", use_deprecated_int96_timestamps=True)
    table = pa.table({"half": pa.array([0.0, -1.5, 65504.0, 6e-8, float("inf"), None], pa.float16())})
    save("pyarrow-half")
    table = example(rows, 2)
    flat = table.drop_columns(["nested"])
    for version in ["V1", "V2"]:
        duckdb.sql(f"COPY (SELECT * FROM flat) TO '{folder}/duckdb-{version.lower()}.parquet' (FORMAT parquet, PARQUET_VERSION {version}, CODEC zstd)")
    duckdb.sql(f"COPY (SELECT * FROM flat) TO '{folder}/duckdb-lz4.parquet' (FORMAT parquet, CODEC lz4_raw)")
    frame = polars.from_arrow(table.drop_columns(["fixed", "huge", "price", "wide"]))
    for codec in ["uncompressed", "snappy", "gzip", "zstd", "lz4"]:
        frame.write_parquet(folder / f"polars-{codec}.parquet", compression=codec)
    for file in folder.glob("*.parquet"):
        # pyarrow 26 refuses delta-packed columns of few rows that DuckDB writes, so DuckDB reads its own.
        if file.name.startswith("duckdb"):
            read = to_arrow(duckdb.connect().sql(f"SELECT * FROM '{file}'"))
        else:
            read = pq.ParquetFile(file).read()
        if "int96" in file.name:
            read = pa.table({"ns": read["ns"].cast(pa.timestamp("ns"))})
        file.with_suffix(".txt").write_text(dump(read))


def golden():
    shutil.rmtree(GOLDEN, ignore_errors=True)
    (GOLDEN / "refused").mkdir(parents=True)
    make(GOLDEN, 24)
    pq.write_table(pa.table({"id": [1, 2, 3], "list": [[1], [], [2, 3]]}), GOLDEN / "refused/list.parquet")
    pq.write_table(pa.table({"id": [1, 2, 3]}), GOLDEN / "refused/brotli.parquet", compression="BROTLI")


def check(folder):
    """What the bridge has written, read by the three; also that they can use its statistics and page index."""
    files = sorted(folder.glob("*.parquet"))
    assert len(files) == 5, files
    failed = 0
    for file in files:
        expected = file.with_suffix(".txt").read_text()
        schema = pq.read_schema(file)
        readers = {
            "pyarrow": lambda: pq.read_table(file),
            "duckdb": lambda: to_arrow(duckdb.connect().sql(f"SELECT * FROM '{file}'")).cast(schema),
            "polars": lambda: polars.read_parquet(file).to_arrow().cast(schema),
        }
        for name, read in readers.items():
            # DuckDB has no time of day in milliseconds and Polars keeps nanoseconds: the casts back are exact.
            found = dump(read())
            if found != expected:
                failed += 1
                pair = next(((n, a, b) for n, (a, b) in enumerate(zip(found.split("\n"), expected.split("\n")), 1) if a != b), "length")
                print(f"{name} reads {file.name} otherwise: {pair}", file=sys.stderr)
        whole = pq.read_table(file)
        index = pq.ParquetFile(file).metadata.row_group(0).column(2)
        assert index.has_column_index and index.has_offset_index and index.statistics.has_min_max
        for name in ["count", "level", "double", "text", "long", "at_ms", "day"]:
            column = whole[name]
            value = column[len(column) // 2].as_py() if column[len(column) // 2].is_valid else column.drop_null()[0].as_py()
            wanted = pc.sum(pc.equal(column, pa.scalar(value, column.type))).as_py()
            counts = {
                "pyarrow": pq.read_table(file, filters=[(name, "=", value)]).num_rows,
                "duckdb": duckdb.connect().execute(f"SELECT count(*) FROM '{file}' WHERE {name} = ?", [value]).fetchone()[0],
                "polars": polars.scan_parquet(file).filter(polars.col(name) == value).select(polars.len()).collect().item(),
            }
            for reader, count in counts.items():
                if count != wanted and value == value:
                    failed += 1
                    print(f"{reader} finds {count} rows instead of {wanted} where {name} = {value!r} in {file.name}", file=sys.stderr)
    return failed


def to_arrow(relation):
    table = relation.arrow()
    return table.read_all() if hasattr(table, "read_all") else table


def main():
    if "--golden" in sys.argv:
        return golden()
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        make(folder, 600)
        swift = ["swift", "test", *os.environ.get("SWIFT_TEST_FLAGS", "").split(), "--filter", "ParquetTests.Parquet(File|Writer)Tests"]
        subprocess.run(swift, cwd=os.environ.get("VYUHA_PACKAGE", ROOT), env={**os.environ, "VYUHA_PARQUET_FOLDER": place}, check=True)
        failed = check(folder / "written")
        print(f"{len(list(folder.glob('*.parquet')))} files read, 5 written files read by pyarrow, DuckDB and Polars: {failed} differences")
        sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
