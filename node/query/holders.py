"""A place or party as a person names it: a Digital Link, an EPC URN, an element string, or a bare GLN."""

from typing import Final

from node.epcis.checkdigits import is_checked
from node.epcis.elements import parse_item
from node.epcis.errors import IdentifierError
from node.epcis.identifiers import LINK_HOST, identify
from node.errors import RequestError
from node.lineage.facts import Facts
from node.lineage.holdings import filed_names
from node.lineage.items import ItemKind, read_item
from node.lineage.near import Looks
from node.lineage.records import PostingKind
from node.lineage.timeline import FOREVER_MS
from node.query.errors import UnknownSeedError
from node.query.near import LOOKS_MAX, find_names

GLN_LENGTH: Final = 13
NEAR_MAX: Final = 5
_GOODS: Final = frozenset({ItemKind.LOT, ItemKind.SERIAL, ItemKind.UNIT, ItemKind.CLASS})


def holder_ids(text: str) -> tuple[str, ...]:
    """Return the canonical ids that `text` may spell: a bare GLN is one of a place and of a party.

    Raises IdentifierError for an element string that names nothing.
    """
    digits = text.replace(" ", "")
    if digits.isdecimal() and digits.isascii() and len(digits) == GLN_LENGTH:
        return tuple([f"{LINK_HOST}/{ai}/{digits}" for ai in ("414", "417")])
    return (parse_item(text).id if text.startswith("(") else identify(text).id,)


def find_holder(facts: Facts, asked: str, field: str) -> str:
    """Return the canonical id of the place or party that is meant.

    Raises RequestError for an item, or a GLN that is both a place's and a party's here, and UnknownSeedError for a
    holder that no event names: it is mistyped, and nothing would be found.
    """
    try:
        ids = holder_ids(asked)
    except IdentifierError as error:
        raise RequestError(error.code, error.message, field=field) from error
    kind = read_item(ids[0]).kind
    if kind in _GOODS:
        words = f"{asked} is a {kind.value}, and no place or party"
        raise RequestError("invalid_params", words, field=field, hint="ask about it as an item")
    known = [one for one in ids if _is_named(facts, one)]
    if len(known) > 1:
        words = f"the GLN {asked} is a place's and a party's here"
        hint = f"write (414){asked} for what is at the place, (417){asked} for all that the party has"
        raise RequestError("invalid_params", words, field=field, hint=hint)
    if not known:
        is_slip = len(ids) > 1 and not is_checked(ids[0].rpartition("/")[2])
        hint = "name it by GLN or Digital Link; lotvine find --party NAME shows what is known"
        raise UnknownSeedError(
            f"no event names {asked} as a place or party" + (": its check digit is wrong" if is_slip else ""),
            field=field,
            hint=hint,
            near=tuple([one.id for one in find_names(facts.reader, asked, Looks(LOOKS_MAX))[:NEAR_MAX]]),
        )
    return known[0]


def _is_named(facts: Facts, holder: str) -> bool:
    """Return whether any event is filed under it; one that came after the height asked for counts, too."""
    return any(
        facts.reader.postings_within(PostingKind.HOLDER, name, from_ms=-FOREVER_MS, to_ms=FOREVER_MS, limit=1)
        for name in filed_names(facts, holder)
    )
