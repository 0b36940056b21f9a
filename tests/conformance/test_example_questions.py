"""Every published example, asked as people ask: found by a misread code, drawn, compared, begun from its places."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import pytest

from node.lineage.indexing import holders_in
from node.lineage.items import read_item
from node.lineage.reader import LineageReader
from node.lineage.trace import Direction
from node.query.common_answer import CommonRequest
from node.query.drawing import write_dot, write_mermaid
from node.query.find import FindRequest
from node.query.picture import draw
from node.query.scopes import SeedRequest
from node.query.service import QueryService
from node.query.svg import write_svg
from tests.conformance.material import EXAMPLES, needs_material
from tests.conformance.test_example_scopes import ITEMS_MAX, documents
from tests.support.documents import masters_of, rows_of
from tests.support.memory_index import MemoryIndex

DOCUMENTS = documents() if EXAMPLES.is_dir() else []


@needs_material
@pytest.mark.parametrize(("name", "document"), DOCUMENTS, ids=[name for name, _document in DOCUMENTS])
def test_every_example_answers_every_question(name: str, document: dict[str, Any]) -> None:
    """No crash, pictures that parse, an item found by its own code, and windows that come to what is there."""
    rows = rows_of(document)
    index = MemoryIndex(rows, masters_of(document))
    items = sorted({line.item for row in rows for line in (*row.event.goods, *row.event.inputs, *row.event.outputs)})

    @contextmanager
    def reader() -> Iterator[LineageReader]:
        yield index

    service = QueryService(reader)
    for item in items[:ITEMS_MAX]:
        picture = draw(service.traces((SeedRequest(item=item),), (Direction.BACK, Direction.FORWARD)), limit=10)
        for narrow in (False, True):
            ElementTree.fromstring(write_svg(picture, narrow=narrow).encode())
        assert write_dot(picture).startswith("digraph")
        assert write_mermaid(picture).startswith("flowchart")
        code = read_item(item).code
        if code is not None:
            found = service.find(FindRequest(text=code, limit=200)).found
            assert item in {one.id for one in found} or len(found) == 200
    if len(items) > 1:
        answer = service.common(CommonRequest(items=tuple(items[: ITEMS_MAX * 2])))
        assert answer.candidates
    for holder in sorted({name for row in rows for name in holders_in(row.event)})[:ITEMS_MAX]:
        # A sensor may report of a place without any goods.
        assert service.find(FindRequest(place=holder)).found or not items
