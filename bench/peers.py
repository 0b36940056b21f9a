"""What one would pick instead to trace on one machine, each with the same edges and asked the same way.

All hold only what a plain walk needs: lots with a number, code and quantity, and edges from input to output of runs. No
custody, no units in time, no unknowns, no proof: they are the floor. Each is given what it likes best: integer keys, an
index for each direction, statistics. Its libraries are the extra `bench`.
"""

import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.foodnet import Made

Row = tuple[Any, ...]
Walk = Callable[[str, bool], list[Row]]
"""From a lot's code, backward or not, to (code, quantity) of each lot reached."""

_TABLES: Final = (
    "CREATE TABLE item(id INTEGER PRIMARY KEY, code TEXT NOT NULL, quantity TEXT)",
    "CREATE TABLE edge(source INTEGER NOT NULL, target INTEGER NOT NULL)",
)
_INDEXES: Final = (
    "CREATE UNIQUE INDEX item_code ON item(code)",
    "CREATE INDEX edge_target ON edge(target, source)",
    "CREATE INDEX edge_source ON edge(source, target)",
)


def _query(place: str, *, is_back: bool) -> str:
    """Return the recursive query. place: how a parameter is written."""
    near, far = ("target", "source") if is_back else ("source", "target")
    return (
        f"WITH RECURSIVE reached(id) AS (SELECT id FROM item WHERE code = {place} UNION "
        f"SELECT edge.{far} FROM edge JOIN reached ON edge.{near} = reached.id) "
        "SELECT item.code, item.quantity FROM reached JOIN item ON item.id = reached.id"
    )


@dataclass(frozen=True, slots=True)
class Edges:
    """Numbered lots and edges between them."""

    items: list[Row]
    edges: list[tuple[int, int]]


def edges_of(made: Iterable[Made]) -> Edges:
    """Return the table of edges that runs come to."""
    numbers: dict[str, int] = {}
    quantities: dict[str, str] = {}
    edges: list[tuple[int, int]] = []
    for run in made:
        for lot in (*run.inputs, *run.outputs):
            numbers.setdefault(lot, len(numbers) + 1)
        quantities.update(dict.fromkeys(run.outputs, run.quantity))
        edges += [(numbers[source], numbers[target]) for source in run.inputs for target in run.outputs]
    return Edges([(number, lot, quantities.get(lot)) for lot, number in numbers.items()], edges)


@contextmanager
def open_sqlite(path: Path, edges: Edges | None = None) -> Iterator[Walk]:
    """Yield SQLite's walk over a file; edges: fills it first."""
    connection = sqlite3.connect(path)
    try:
        if edges is not None:
            for statement in ("PRAGMA journal_mode = OFF", *_TABLES):
                connection.execute(statement)
            connection.executemany("INSERT INTO item VALUES (?, ?, ?)", edges.items)
            connection.executemany("INSERT INTO edge VALUES (?, ?)", edges.edges)
            for statement in (*_INDEXES, "ANALYZE"):
                connection.execute(statement)
            connection.commit()
        yield lambda code, is_back: connection.execute(_query("?", is_back=is_back), (code,)).fetchall()
    finally:
        connection.close()


@contextmanager
def open_duckdb(path: Path, edges: Edges | None = None) -> Iterator[Walk]:
    """Yield DuckDB's walk over a file; edges: fills it first. Raises ImportError without the extra `bench`."""
    import duckdb

    connection = duckdb.connect(str(path))
    try:
        if edges is not None:
            for statement in _TABLES:
                connection.execute(statement)
            with tempfile.TemporaryDirectory(prefix="lotvine-bench-") as folder:
                for name, rows in (("item", edges.items), ("edge", edges.edges)):
                    file = Path(folder) / name
                    file.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
                    connection.execute(f"COPY {name} FROM '{file}' (DELIMITER '\t', HEADER false)")
            for statement in _INDEXES:
                connection.execute(statement)
        yield lambda code, is_back: connection.execute(_query("?", is_back=is_back), [code]).fetchall()
    finally:
        connection.close()


@contextmanager
def open_rustworkx(edges: Edges) -> Iterator[Walk]:
    """Yield the walk of an in-memory graph. Raises ImportError without the extra `bench`."""
    import rustworkx

    graph = rustworkx.PyDiGraph(multigraph=False)
    graph.add_nodes_from([None, *edges.items])
    graph.add_edges_from_no_data(edges.edges)
    numbers = {row[1]: row[0] for row in edges.items}
    items = edges.items

    def walk(code: str, is_back: bool) -> list[Row]:  # noqa: FBT001 - a Walk
        start = numbers[code]
        found = rustworkx.ancestors(graph, start) if is_back else rustworkx.descendants(graph, start)
        found.add(start)
        return [items[number - 1][1:] for number in found]

    yield walk


def find_postgres() -> Path | None:
    """Return the folder with PostgreSQL's server programs, or None if this machine has none that we may start."""
    if os.geteuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        return None  # It refuses to run as root, and there is nobody else to run it.
    named = shutil.which("initdb")
    candidates = [Path(named).resolve().parent] if named else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in candidates if (one / "postgres").exists() and (one / "initdb").exists()), None)


def _as_server_user() -> dict[str, Any]:
    """Return how to start a server that refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def open_postgres(programs: Path, edges: Edges) -> Iterator[Walk]:
    """Yield the walk of a PostgreSQL server of its own on a local socket, filled. Raises ImportError without psycopg.

    Settings: 256 MB of shared buffers, no syncs; else as installed.
    """
    import psycopg

    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="lotvine-pg-")))
        as_user = _as_server_user()
        if as_user:
            os.chown(folder, as_user["user"], as_user["group"])
        data = folder / "data"
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", **as_user}
        subprocess.run(
            [programs / "initdb", "-D", data, "-A", "trust", "-U", "bench", "-E", "UTF8", "--no-locale", "-N"],
            check=True, **quiet,
        )  # fmt: skip
        settings = ("listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "shared_buffers=256MB")
        options = [word for setting in settings for word in ("-c", setting)]
        server = subprocess.Popen([programs / "postgres", "-D", data, *options], **quiet)
        opened.callback(server.wait)
        opened.callback(server.terminate)
        connection = opened.enter_context(_connect(psycopg, str(folder), server))
        for statement in _TABLES:
            connection.execute(statement)
        with connection.cursor() as cursor:
            for name, rows in (("item", edges.items), ("edge", edges.edges)):
                with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
        for statement in (*_INDEXES, "ANALYZE"):
            connection.execute(statement)
        connection.commit()
        yield lambda code, is_back: connection.execute(_query("%s", is_back=is_back), (code,)).fetchall()


def _connect(psycopg: Any, folder: str, server: "subprocess.Popen[bytes]") -> Any:
    """Return a connection once the server takes one. Raises the last error if it ended, or after 30 tries."""
    for tries in range(31):
        try:
            return psycopg.connect(host=folder, user="bench", dbname="postgres", connect_timeout=5)
        except psycopg.OperationalError:
            if tries == 30 or server.poll() is not None:
                raise
            time.sleep(0.5)  # Its process starts: there is nothing yet to wait on.
    raise AssertionError
