"""A frame of every message, and roots and paths of small trees, against golden bytes, and the page that lists them.

`tests/vectors/messages.json` and `trees.json` are what `build_frames` and `build_trees` give; they change with a
protocol version only.
"""

import json
import re
from pathlib import Path

from node.crypto.merkle import Frontier, inclusion_path, merkle_root, verify_inclusion
from node.wire.codec import unpack
from node.wire.messages import decode, encode, tag_of
from node.wire.tags import Tag
from tests.unit.wire.test_messages import MESSAGES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
VECTORS = ROOT / "tests" / "vectors"
LEAVES = [bytes([number]) * number for number in range(9)]


def build_frames() -> list[list[str]]:
    """Every message of the unit tests, by the name of its tag, as hex."""
    return [[Tag(tag_of(encode(message))).name, encode(message).hex()] for message in MESSAGES]


def build_trees() -> dict[str, list[object]]:
    """The root over the first n leaves, for n from 0, and the path of each leaf of the largest tree."""
    return {
        "leaves": [leaf.hex() for leaf in LEAVES],
        "roots": [merkle_root(LEAVES[:count]).hex() for count in range(len(LEAVES) + 1)],
        "paths": [[node.hex() for node in inclusion_path(LEAVES, place)] for place in range(len(LEAVES))],
    }


def test_every_frame_is_the_golden_one() -> None:
    """Byte for byte, and back."""
    golden = json.loads((VECTORS / "messages.json").read_text(encoding="utf-8"))
    assert build_frames() == golden
    assert {name for name, _ in golden} == {tag.name for tag in Tag}
    assert [decode(bytes.fromhex(frame)) for _, frame in golden] == MESSAGES


def test_every_tree_is_the_golden_one() -> None:
    """However it is built: at once, or leaf by leaf; and each path proves its leaf."""
    golden = json.loads((VECTORS / "trees.json").read_text(encoding="utf-8"))
    assert build_trees() == golden
    frontier = Frontier()
    for count, root in enumerate(golden["roots"]):
        assert frontier.root().hex() == root
        if count < len(LEAVES):
            frontier = frontier.append(LEAVES[count])
    for place, path in enumerate(golden["paths"]):
        nodes = [bytes.fromhex(node) for node in path]
        root = bytes.fromhex(golden["roots"][-1])
        assert verify_inclusion(LEAVES[place], index=place, size=len(LEAVES), path=nodes, root=root)


def _entries(listed: str) -> int:
    """Return how many fields a cell lists: commas inside brackets part nothing."""
    depth = entries = 0
    for sign in listed:
        depth += (sign in "[(") - (sign in "])")
        entries += sign == "," and depth == 0
    return entries + 1


def test_the_fields_of_every_message_are_listed() -> None:
    """As many as its frame has, tag by tag."""
    table = PAGE.split("| tag | fields, after version and tag |", 1)[1].split("\n\n", 1)[0]
    listed = {int(tag): _entries(cell) for tag, cell in re.findall(r"^\| (\d+) \| (.+) \|$", table, re.MULTILINE)}
    assert listed == {
        int(tag_of(encode(message))): len(unpack(encode(message), what="frame")) - 2 for message in MESSAGES
    }
