"""A trace as a tree in the terminal."""

from node.api.schema.traces import (
    TraceEdge,
    TraceEvent,
    TraceHolder,
    TraceItem,
    TraceResult,
    TraceUnknown,
)
from node.app.trace_text import render_trace


def build_trace(direction: str, edges: list[tuple[str, str]]) -> TraceResult:
    names = sorted({name for edge in edges for name in edge})
    items = tuple(TraceItem(id=name, kind="lot", lot=name, name="Bread", quantity="5", uom="KGM") for name in names)
    event = TraceEvent(
        id="e",
        type="TransformationEvent",
        time="2026-03-02T08:30:00Z",
        step="retail_selling",
        place_name="Shop",
        party_name="Firm",
    )
    return TraceResult(
        direction=direction,
        item=edges[0][1] if direction == "back" else edges[0][0],
        height=9,
        rules=1,
        digest="ab" * 32,
        items=items,
        events=(event,),
        edges=tuple(TraceEdge(source=one, target=other, event="e", kind="made") for one, other in edges),
        origins=("A",),
        destinations=("D",),
        holders=(TraceHolder(item="D", party="Firm", since="2026-03-02T08:30:00Z"),),
        unknowns=(TraceUnknown(item="A", reason="first seen as an input", ask="Mill"),),
        warnings=("used before it came",),
    )


def test_backward_the_sources_hang_below_and_a_branch_is_shown_once() -> None:
    """Product, lot and quantity of each; step, place, party and time on the way."""
    lines = list(render_trace(build_trace("back", [("B", "D"), ("C", "D"), ("A", "B"), ("A", "C"), ("Z", "A")])))
    tree = lines[: lines.index("")]
    assert tree[0] == "Bread lot D, 5 kg"
    assert tree[1] == "├─ Bread lot B, 5 kg  · retail selling, Shop, Firm, 2026-03-02 08:30"
    assert tree[2].startswith("│  └─ Bread lot A")
    assert tree[3].startswith("│     └─ Bread lot Z")
    assert tree[4].startswith("└─ Bread lot C")
    assert tree[5].startswith("   └─ Bread lot A")
    assert tree[5].endswith("(its branch is above)")
    assert len(tree) == 6
    rest = "\n".join(lines)
    assert "origins:\n  Bread lot A, 5 kg" in rest
    assert "not known:\n  Bread lot A, 5 kg: first seen as an input: ask Mill" in rest
    assert "does not add up:\n  used before it came" in rest


def test_forward_the_holders_are_named_and_a_loop_ends() -> None:
    """Rework into the same lot code terminates."""
    lines = list(render_trace(build_trace("forward", [("A", "B"), ("B", "A")])))
    tree = [line.split("  ·")[0] for line in lines[:3]]
    assert tree == ["Bread lot A, 5 kg", "└─ Bread lot B, 5 kg", "   └─ Bread lot A, 5 kg"]
    assert "  D: Firm since 2026-03-02 08:30" in lines


def test_a_chain_of_any_length_needs_no_recursion() -> None:
    """Ten thousand lots in a row."""
    edges = [(f"L{index:05d}", f"L{index + 1:05d}") for index in range(10_000)]
    assert sum("Bread lot" in line for line in render_trace(build_trace("forward", edges))) >= 10_001
