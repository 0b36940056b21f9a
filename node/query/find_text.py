"""What was found, as text for people. Pure."""

from collections.abc import Iterator

from node.query.find import FindAnswer, FoundItem


def render_found(answer: FindAnswer) -> Iterator[str]:
    """Yield the lines: each item with why it is here, then names that fit, then whether that is all."""
    for one in answer.found:
        yield f"{_item_words(one)}"
        yield f"    {one.id}"
        yield from (f"    {reason}" for reason in one.reasons)
        if one.first is not None:
            yield f"    events from {one.first}" + (f" to {one.last}" if one.last != one.first else "")
    if answer.names:
        yield "called so:"
        yield from (f"  {name.kind} {name.name}: {name.id}" for name in answer.names)
    if not answer.found:
        yield "no item found" + ("" if answer.names else "; a product, place or date may narrow or widen the search")
    if not answer.complete:
        yield "There may be more: narrow it by --product, --place, --party, --from, --to, or raise --limit."


def _item_words(one: FoundItem) -> str:
    product = one.product_name or one.product
    code = None if one.code is None else f"{one.kind} {one.code}"
    return " ".join(part for part in (product, code) if part) or f"{one.kind} {one.id}"
