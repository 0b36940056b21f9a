"""EPCIS 2.0 documents, GS1 identifiers, CBV words and our own numbered rules for reading an event.

Alone imports the GS1 and schema libraries, and those only for the node's door (`schema`, `urns`): what execution
reads (`reader`, `identifiers`, `vocabulary`, `times`, `json_values`) rests on the bytes alone. May import `wire`,
`crypto` and below. Read `model` first, then `identifiers`, `vocabulary`, `reader`, and last `document`, which judges
at the door.
"""
