"""Why an item is near what was read, in a sentence for the person with the label in hand."""

from typing import Final

from node.lineage.near import Difference
from node.query.near import Match

_PARTS: Final = {
    "whole": "{what} is the same",
    "beginning": "{what} begins with it",
    "end": "{what} ends with it",
}


def match_words(match: Match) -> str:
    """Return the sentence: what was compared, and each character that was read otherwise."""
    what = "its id" if match.is_id else "its code"
    misread = [difference_words(one) for one in match.differences]
    if match.part == "whole" and misread:
        return f"{what} differs: {'; '.join(misread)}"
    words = _PARTS[match.part].format(what=what)
    return f"{words}, but {'; '.join(misread)}" if misread else words


def difference_words(difference: Difference) -> str:
    """Return one misread character in words."""
    kind, place, read, actual = difference
    match kind:
        case "look_alike":
            return f"{read} is {actual} at {place} (they look alike)"
        case "other":
            return f"{read} is {actual} at {place}"
        case "missing":
            return f"{actual} is missing at {place}"
        case "extra":
            return f"{read} is one too many before {place}"
        case _:
            return f"{read} is {actual} from {place}"
