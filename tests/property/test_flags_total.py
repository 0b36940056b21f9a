"""Whatever events there are: flags do not fail, name their events, and know no order of arrival."""

import pytest

from node.lineage.completeness import completeness_of
from node.lineage.facts import open_facts
from node.lineage.flag_codes import CODES
from node.lineage.flag_model import Flag, FlagSettings
from node.lineage.flags import flags_of_event_id, flags_of_item, flags_of_run
from node.lineage.readings import Readings
from tests.property.test_scope_total import ITEMS, Nonsense
from tests.support.events import at
from tests.support.memory_index import MemoryIndex

NOW_MS = at(40, "00:00")


def flags_in(index: MemoryIndex) -> dict[str, list[Flag]]:
    facts = open_facts(index, Readings(), as_of_ms=None, known_at=index.height)
    found = {item: [*flags_of_item(item, facts, FlagSettings(), now_ms=NOW_MS).flags] for item in ITEMS}
    found["run"] = [*flags_of_run("urn:run:1", facts, FlagSettings(), now_ms=NOW_MS).flags]
    for number in range(16):
        name = f"urn:uuid:{number}"
        found[name] = [*flags_of_event_id(name, facts).flags]
    return found


def content(found: dict[str, list[Flag]]) -> list[tuple[object, ...]]:
    return [
        (subject, flag.id, flag.code, flag.items, flag.parties, flag.amount, flag.uom, flag.is_countered)
        for subject, flags in found.items()
        for flag in flags
    ]


@pytest.mark.parametrize("seed", range(300))
def test_flags_of_any_events_are_told_alike_in_any_order(seed: int) -> None:
    """And a completeness is a share."""
    world = Nonsense(seed)
    index = world.story.index()
    found = flags_in(index)
    assert content(flags_in(world.story.shuffled(seed))) == content(found)
    for flag in (one for flags in found.values() for one in flags):
        assert flag.code in CODES
        assert flag.refs
        assert all(index.get_event(ref).member in flag.members for ref in flag.refs)
    facts = open_facts(index, Readings(), as_of_ms=None, known_at=index.height)
    for item in ITEMS:
        score = completeness_of(item, facts)
        assert 0 <= score.upstream <= 100
        assert 0 <= score.downstream <= 100
