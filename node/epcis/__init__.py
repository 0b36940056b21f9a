"""EPCIS 2.0 documents, GS1 identifiers, CBV words and our own numbered rules for reading an event.

Alone imports the GS1 and schema libraries. May import `wire`, `crypto` and below. Read `model` first, then
`identifiers`, `vocabulary`, `reader` (what execution uses) and `document` (what judges at the node's door).
"""
