"""What a user would pick instead for tracing on one machine: a table of edges in SQLite and a recursive query.

It holds ids and rows only: no custody, no containment in time, no unknowns, no proof. It is the floor to compare with.
"""

import json
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

from bench.synthetic import Chain

_BACK = """
WITH RECURSIVE up(item) AS (
  SELECT ?1 UNION SELECT edge.input FROM edge JOIN up ON edge.output = up.item
)
SELECT item.id, item.quantity FROM up JOIN item ON item.id = up.item
"""


class SqliteTrace:
    """Edges from input to output lots of runs, with one row an item."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        self._connection.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE item(id TEXT PRIMARY KEY, quantity TEXT) WITHOUT ROWID;
            CREATE TABLE edge(output TEXT, input TEXT, PRIMARY KEY (output, input)) WITHOUT ROWID;
            CREATE TABLE event(number INTEGER PRIMARY KEY, body TEXT);
            """
        )

    def load(self, chains: Iterable[Chain]) -> float:
        """Insert all events in transactions of 1,000; return events a second."""
        begin = time.perf_counter()
        count = 0
        for chain in chains:
            for event in chain.events:
                if count % 1000 == 0:
                    self._connection.commit()
                count += 1
                self._insert(event)
        self._connection.commit()
        return count / (time.perf_counter() - begin)

    def _insert(self, event: dict[str, object]) -> None:
        self._connection.execute("INSERT INTO event(body) VALUES (?)", (json.dumps(event),))
        inputs = event.get("inputQuantityList", [])
        outputs = event.get("outputQuantityList", event.get("quantityList", []))
        assert isinstance(inputs, list)
        assert isinstance(outputs, list)
        for output in outputs:
            self._connection.execute(
                "INSERT OR IGNORE INTO item VALUES (?, ?)", (output["epcClass"], str(output["quantity"]))
            )
            self._connection.executemany(
                "INSERT OR IGNORE INTO edge VALUES (?, ?)",
                [(output["epcClass"], entry["epcClass"]) for entry in inputs],
            )

    def back(self, item: str) -> int:
        """Return how many items a backward walk finds, with their rows read."""
        return len(self._connection.execute(_BACK, (item,)).fetchall())

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
