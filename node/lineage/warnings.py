"""The words of what a trace warns of, by stable code. docs/lineage.md explains each."""

from typing import Final

MESSAGES: Final[dict[str, str]] = {
    "amounts_differ": "More was received than the shipment says was sent.",
    "class_lots_left_out": "The product has more lots than are looked at for goods that name no lot.",
    "class_without_lot": "Goods are named by product alone: they may be of any of its lots that the holder had then.",
    "contents_differ": "A unit was seen with other contents than were packed into it.",
    "contents_inferred": "No packing is recorded: taken to be inside since the unit was last empty, or first seen.",
    "counted_below_book": "A count found less than the record says is there: the record stands.",
    "counter_statement": "Another member declares this event void: both statements stand, and nothing is undone.",
    "depth_limit": "The walk stopped at its depth limit: what lies beyond is not in this answer.",
    "history_left_out": "The item has a long history: only its making was read, its movements and holders were not.",
    "bounds_by_intervals": "The scope is too large to bound each portion exactly: bounds are by intervals, and wider.",
    "holder_events_left_out": "A holder has more events than are looked through for goods without recorded inputs.",
    "item_limit": "The answer is full: {count} links to further items were not followed.",
    "made_twice": "A piece was made that already exists elsewhere.",
    "moved_without_record": "Goods are where no record brought them: taken to come from the only other holding.",
    "overdrawn": "More was taken from a holding than the record put there.",
    "no_source": "Goods appear without a record of where they came from.",
    "receipt_without_shipment": "Goods were received that no recorded shipment sent there.",
    "run_gain": "More came out of a run than went in.",
    "run_links_left_out": "A run has very many links: its items are all here, but not every link between them.",
    "seed_items_left_out": "What was asked about names more than is looked through: the trace begins from a part.",
    "serial_in_lot_stock": "A piece is part of its lot's stock: what was drawn by the lot's code may have been it.",
    "time_in_future": "An event says that it happened after the block that holds it: its time excludes nothing.",
    "told_twice": "One member reported the same event more than once: each counts, unless pieces or papers are equal.",
    "unit_mismatch": "Amounts in units that do not convert: how much was taken is unknown.",
    "unpacked_without_packing": "Something was taken out of a unit that was never recorded to be put in.",
    "used_before_made": "The item was used before the time of its making: the times are not relied on.",
    "used_before_receipt": "Goods came in only after they were used there: this receipt carries nothing to that use.",
    "void_without_original": "A declaration voids an event that its member never reported in this form.",
}
