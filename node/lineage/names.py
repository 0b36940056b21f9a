"""Names that items and master data are found by, and the words of a name."""

import re
import unicodedata
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from node.epcis.identifiers import identify
from node.epcis.model import MasterRecord

NAME_ATTRIBUTES: Final = ("name", "organizationName", "vesselName")
PRODUCT_ATTRIBUTES: Final = ("descriptionShort", "tradeItemDescription", "regulatedProductName", "productName", "name")
PARTY_ATTRIBUTES: Final = ("possessing_party", "owning_party")
ALL_ATTRIBUTES: Final = frozenset((*NAME_ATTRIBUTES, *PRODUCT_ATTRIBUTES))
WORDS_MAX: Final = 16
"""Words of one record that are filed; further ones are not found by."""
WORD_LENGTH_MAX: Final = 32

_WORD: Final = re.compile(r"[^\W_]+")


class NameTable(IntEnum):
    """Which names are looked through."""

    CODE = 1
    """Codes of items, folded (`near.fold_code`)."""
    CODE_REVERSED = 2
    """The same, read from their end."""
    ID = 3
    """Ids of items."""
    WORD = 4
    """Words of the names that master data give products, places, parties; of places also the ids of who has them."""


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a name, each once, in capitals and without accents: `Zürich` is found by `zurich`."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    words = dict.fromkeys(word.upper()[:WORD_LENGTH_MAX] for word in _WORD.findall(plain))
    return tuple(words)[:WORDS_MAX]


def words_of_master(record: MasterRecord) -> tuple[str, ...]:
    """Return what a record is filed by: the words of its names, and the ids of the parties that have a place.

    No word can be taken for an id: an id has a colon.
    """
    names: Iterable[str] = (value for name, value in record.attributes if name in ALL_ATTRIBUTES)
    parties = (identify(value).id for name, value in record.attributes if name in PARTY_ATTRIBUTES)
    return (*words_of(" ".join(names)), *dict.fromkeys(one for one in parties if ":" in one and "\0" not in one))
