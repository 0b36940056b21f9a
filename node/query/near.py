"""Items and names near what somebody typed: misread, cut short, in any spelling. Ranked, each with what differs.

Every search takes its looks from one `Looks`: when they are used up it ends, and says that there may be more.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

from node.epcis.elements import parse_item
from node.epcis.errors import IdentifierError
from node.epcis.identifiers import LINK_HOST, IdKind, describe
from node.lineage.items import read_item
from node.lineage.names import NameTable, words_of
from node.lineage.near import (
    ANY_ONE,
    ANY_RUN,
    Difference,
    Looks,
    edits_allowed,
    explain,
    read_pattern,
    walk_near,
)
from node.lineage.reader import LineageReader

LOOKS_MAX: Final = 30_000
"""Names that one search looks at: some tenths of a second."""
MATCHES_MAX: Final = 2_000
ID_LENGTH_MAX: Final = 160
"""Longer ids are looked for by their beginning."""
PART_LENGTH_MIN: Final = 3
"""A shorter text is no part of a code that one could tell from others."""
SAME_NAME_MAX: Final = 500

_PRINTED: Final = re.compile(r"\((01|02)\)([^()]*)\((10|21)\)(.*)")
_PATH: Final = re.compile(r"/(?:01|gtin)/([^/?#]*)/(?:(10|lot)|(21|ser))/([^/?#]*)")
_SEPARATED: Final = re.compile(r"[/:()]")
_GTIN: Final = re.compile(r"[0-9 ]{8,18}")
_GTIN_LENGTH: Final = 14
_OTHER_PRODUCT: Final = 3


class Match(NamedTuple):
    """An item that may have been meant. rank: the less, the nearer. distance: characters misread beyond look-alikes.

    part: `whole`, or which part of the code or id what was read is: `beginning`, `end`, `inside`. is_id: compared was
    the whole id. differences: places count within what was compared.
    """

    rank: int
    item: str
    distance: int
    part: str
    is_id: bool
    differences: tuple[Difference, ...]

    @property
    def order(self) -> tuple[int, int, str]:
        """Return what the best comes first by."""
        return self.rank, len(self.differences), self.item


class NameMatch(NamedTuple):
    """Master data whose name has all words of the text. distance: characters misread, over all words."""

    id: str
    distance: int


def find_items(reader: LineageReader, text: str, looks: Looks) -> list[Match]:
    """Return items whose id or code is near `text`, the nearest first, at most `MATCHES_MAX`.

    text: a code or an id in any spelling, with `?` for a character and `*` for any number that could not be read.
    """
    best: dict[str, Match] = {}
    spelled = _spell_id(text)
    if spelled is not None:
        _collect(best, _near_ids(reader, spelled, looks))
    # What follows an id's last sign is its code, when the rest is another product's or cannot be read. Bare digits may
    # be a GTIN, and a lot as well.
    is_id = spelled is not None and _SEPARATED.search(text) is not None
    for code in _codes_in(text, is_id=is_id):
        found = _near_codes(reader, code, looks)
        if is_id:
            found = (one._replace(rank=one.rank + _OTHER_PRODUCT) for one in found)
        _collect(best, found)
    return sorted(best.values(), key=lambda match: match.order)


def _collect(best: dict[str, Match], found: Iterator[Match]) -> None:
    for match in found:
        known = best.get(match.item)
        if known is not None:
            best[match.item] = min(known, match, key=lambda one: one.order)
        elif len(best) < MATCHES_MAX:
            best[match.item] = match
        else:
            return


def _spell_id(text: str) -> str | None:
    """Return the canonical spelling that `text` would have if it could be read, or None for a bare code."""
    text = text.strip()
    try:
        parsed = parse_item(text)
        if parsed.kind is not IdKind.OPAQUE:
            return None if describe(parsed.id).code == text else parsed.id
    except IdentifierError:
        pass
    if found := _PRINTED.match(text):
        return f"{LINK_HOST}/01/{found[2].strip()}/{found[3]}/{found[4].partition('(')[0].strip()}"
    if found := _PATH.search(text):
        return f"{LINK_HOST}/01/{found[1]}/{'10' if found[2] else '21'}/{found[4]}"
    digits = text.replace(" ", "")
    if _GTIN.fullmatch(text) and len(digits) <= _GTIN_LENGTH:
        return f"{LINK_HOST}/01/{digits.zfill(_GTIN_LENGTH)}"
    return text if ":" in text else None


def _codes_in(text: str, *, is_id: bool) -> list[str]:
    """Return what in `text` may be a code: its patterns."""
    parts = [text]
    if is_id:
        parts = [text.rpartition(sign)[2] for sign in "/:)." if sign in text]
        try:
            parts.insert(0, describe(parse_item(text).id).code or "")
        except IdentifierError:
            pass  # What cannot be read has no parts that are known.
    patterns = [read_pattern(part) for part in parts]
    return list(dict.fromkeys(one for one in patterns if one.strip(ANY_ONE + ANY_RUN)))


def _near_ids(reader: LineageReader, spelled: str, looks: Looks) -> Iterator[Match]:
    pattern = spelled.upper()
    is_cut = len(pattern) > ID_LENGTH_MAX
    pattern = pattern[:ID_LENGTH_MAX]
    table = partial(reader.next_name, NameTable.ID)
    if not is_cut:
        for item, distance, differences in _by_distance(table, pattern, 2, looks):
            yield Match(2 * distance, item, distance, "whole", is_id=True, differences=differences)
    for _distance, item in walk_near(table, pattern + ANY_RUN, edits_max=0, looks=looks):
        differences = explain(pattern + ANY_RUN, item)[1]
        yield Match(1, item, 0, "beginning", is_id=True, differences=differences)


def _near_codes(reader: LineageReader, pattern: str, looks: Looks) -> Iterator[Match]:
    """Yield items by code: whole, then its beginning, then its end."""
    forward = partial(reader.next_name, NameTable.CODE)
    backward = partial(reader.next_name, NameTable.CODE_REVERSED)
    if pattern.startswith(ANY_RUN) and not pattern.endswith(ANY_RUN):
        # From its end: else everything would have to be looked at.
        mirrored = pattern[::-1]
        for name, distance, _ in _by_distance(backward, mirrored, edits_allowed(pattern), looks):
            yield from _items_coded(reader, name[::-1], pattern, 2 * distance, "whole")
        return
    for name, distance, _ in _by_distance(forward, pattern, edits_allowed(pattern), looks):
        yield from _items_coded(reader, name, pattern, 2 * distance, "whole")
    if ANY_RUN in pattern or len(pattern) < PART_LENGTH_MIN:
        return
    for _distance, name in walk_near(forward, pattern + ANY_RUN, edits_max=0, looks=looks):
        yield from _items_coded(reader, name, pattern + ANY_RUN, 3, "beginning")
    for _distance, name in walk_near(backward, pattern[::-1] + ANY_RUN, edits_max=0, looks=looks):
        yield from _items_coded(reader, name[::-1], ANY_RUN + pattern, 3, "end")


def _items_coded(reader: LineageReader, code: str, pattern: str, rank: int, part: str) -> Iterator[Match]:
    distance, differences = explain(pattern, code)
    for item in reader.named(NameTable.CODE, code, limit=SAME_NAME_MAX):
        yield Match(rank, item, distance, part, is_id=False, differences=differences)


def _by_distance(
    next_name: Callable[[str], str | None], pattern: str, edits_max: int, looks: Looks
) -> Iterator[tuple[str, int, tuple[Difference, ...]]]:
    """Yield names by growing distance; the next one is looked at only while little was found."""
    count = 0
    for edits in range(edits_max + 1):
        for distance, name in walk_near(next_name, pattern, edits_max=edits, looks=looks):
            if distance == edits:
                count += 1
                yield name, distance, explain(pattern, name)[1]
        if count >= _ENOUGH:
            return


_ENOUGH: Final = 20


def find_names(reader: LineageReader, text: str, looks: Looks) -> list[NameMatch]:
    """Return ids of products, places and parties whose names have all words of `text`, the nearest first.

    A word is found by its beginning, too, and with a misread character or two.
    """
    totals: dict[str, int] | None = None
    for word in words_of(text):
        found = _ids_by_word(reader, word, looks)
        totals = found if totals is None else _summed(totals, found)
        if not totals:
            return []
    matches = [NameMatch(*pair) for pair in (totals or {}).items()]
    return sorted(matches, key=lambda match: (match.distance, match.id))


def _summed(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {key: distance + other[key] for key, distance in one.items() if key in other}


def _ids_by_word(reader: LineageReader, word: str, looks: Looks) -> dict[str, int]:
    table = partial(reader.next_name, NameTable.WORD)
    ids: dict[str, int] = {}
    patterns = [(word, edits) for edits in range(edits_allowed(word) + 1)]
    if len(word) >= PART_LENGTH_MIN:
        patterns.insert(1, (word + ANY_RUN, 0))
    for pattern, edits in patterns:
        for distance, name in walk_near(table, pattern, edits_max=edits, looks=looks):
            for id in reader.named(NameTable.WORD, name, limit=MATCHES_MAX):  # noqa: A001 - the field's word
                if len(ids) < MATCHES_MAX:
                    ids.setdefault(id, distance)
        if ids:
            break
    return ids


def suggest(reader: LineageReader, text: str, *, limit: int) -> tuple[str, ...]:
    """Return ids that were perhaps meant by `text`, the nearest first: for "did you mean"."""
    found = find_items(reader, text, Looks(LOOKS_MAX))
    sought = _product_in(text)
    # Of equally near ones, those of the product that was named.
    found.sort(key=lambda one: (one.rank, sought is None or read_item(one.item).product != sought, *one.order))
    return tuple([match.item for match in found[:limit]])


def _product_in(text: str) -> str | None:
    try:
        return read_item(parse_item(text).id).product
    except IdentifierError:
        return None
