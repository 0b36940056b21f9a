"""What the door says of a document: where, under which stable code, in a sentence a person can act on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing said of one field. path: such as `epcisBody.eventList[3].bizStep`; empty for the whole document."""

    path: str
    code: str
    message: str


def join_path(base: str, *steps: str | int) -> str:
    """Return the path `base` with steps below it: names after a dot, places in brackets."""
    path = base
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path
