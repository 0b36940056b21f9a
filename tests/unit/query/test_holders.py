"""node/query/holders: a place or party in any spelling, and by the bare number of its label."""

import pytest

from node.epcis.errors import IdentifierError
from node.errors import RequestError
from node.lineage.facts import open_facts
from node.lineage.readings import Readings
from node.query.errors import UnknownSeedError
from node.query.holders import find_holder, holder_ids
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, party, place

FIELD = "params.seeds[0].holder"
GLN = place(2).rpartition("/")[2]


def find(story: Chronicle, asked: str) -> str:
    index = story.index()
    return find_holder(open_facts(index, Readings(), as_of_ms=None, known_at=index.height), asked, FIELD)


def shipped(*, source: int | None = None) -> Chronicle:
    story = Chronicle()
    story.receive({lot("1", "F"): 5}, at(1, "08:00"), at=2, source=source)
    return story


@pytest.mark.parametrize(
    "asked", [place(2), f"https://dock.example/414/{GLN}", f"(414){GLN}", GLN, f"{GLN[:7]} {GLN[7:]}"]
)
def test_a_place_is_meant_by_its_link_its_label_or_its_bare_number(asked: str) -> None:
    """What stands on a door is thirteen digits."""
    assert find(shipped(), asked) == place(2)


def test_a_bare_number_is_a_partys_where_only_a_party_has_it() -> None:
    """Who sent, and has no place here."""
    assert find(shipped(source=5), party(5).rpartition("/")[2]) == party(5)


def test_a_number_of_a_place_and_of_a_party_is_asked_about() -> None:
    """A recall at one would not be one at the other."""
    with pytest.raises(RequestError, match="a place's and a party's here") as refused:
        find(shipped(source=2), GLN)
    assert (refused.value.code, refused.value.field) == ("invalid_params", FIELD)
    assert refused.value.hint is not None
    assert f"(417){GLN}" in refused.value.hint
    assert find(shipped(source=2), f"(417){GLN}") == party(2)


def test_what_nobody_named_is_refused_and_a_slip_is_said() -> None:
    """One digit wrong is the likeliest reason."""
    wrong = GLN[:-1] + str((int(GLN[-1]) + 1) % 10)
    with pytest.raises(UnknownSeedError, match="its check digit is wrong") as refused:
        find(shipped(), wrong)
    assert (refused.value.code, refused.value.field) == ("not_found", FIELD)
    with pytest.raises(UnknownSeedError, match=r"as a place or party$"):
        find(shipped(), place(9))


def test_an_element_string_that_names_nothing_is_refused_by_its_field() -> None:
    """As an item is."""
    with pytest.raises(IdentifierError):
        holder_ids("(414)12")
    with pytest.raises(RequestError) as refused:
        find(shipped(), "(414)12")
    assert (refused.value.code, refused.value.field) == ("identifier_malformed", FIELD)
