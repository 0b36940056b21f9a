"""Flags as text for people: the gravest first, each with who can settle it and how it closes. Pure."""

from collections.abc import Iterator
from typing import Final

from node.query.flags import FlagsAnswer, FlagView
from node.query.text import UNITS

_ORDER: Final = {"high": 0, "warn": 1, "note": 2}
_AT: Final = "the party at "


def render_flags(answer: FlagsAnswer) -> Iterator[str]:
    """Yield the lines of a list of flags."""
    if not answer.flags:
        yield "no flags: what was asked about adds up, as far as the ledger says"
    for flag in sorted(answer.flags, key=lambda one: _ORDER[one.severity]):
        yield from _lines_of(answer, flag)
    counts = {name: sum(one.severity == name for one in answer.flags) for name in _ORDER}
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    if answer.flags:
        yield f"{len(answer.flags)} {'flag' if len(answer.flags) == 1 else 'flags'}: {words}"
    if answer.next is not None:
        yield f"there are more: --after {answer.next}"
    lag = answer.height - answer.flags_height
    behind = f" ({lag} blocks behind: flags are being made)" if lag else ""
    yield f"flags hold at height {answer.flags_height}{behind}"


def _lines_of(answer: FlagsAnswer, flag: FlagView) -> Iterator[str]:
    state = "" if flag.state == "open" else f" [{flag.state}]"
    yield f"{flag.severity.upper()} {flag.code}: {_name(answer, flag.subject)}{_amount(flag)}{state}"
    yield f"  {flag.means}"
    for event in flag.events:
        place = f" at {_name(answer, event.place)}" if event.place is not None else ""
        yield f"  {event.time} {event.step or event.type}{place}, entered by {event.member}"
    who = ", ".join(_name(answer, party) for party in flag.parties)
    yield f"  settled by {flag.settles}{f': {who}' if who else ''}; closed by {flag.closes}"
    for waiver in flag.waivers:
        yield f"  waived by {waiver.member}: {waiver.reason}"
    yield f"  since {flag.since}, flag {flag.id}"


def _amount(flag: FlagView) -> str:
    if flag.amount is None:
        return ""
    return f", {flag.amount} {UNITS.get(flag.uom or 'C62', flag.uom or '')}"


def _name(answer: FlagsAnswer, subject: str) -> str:
    if subject.startswith(_AT):
        return _AT + answer.names.get(subject[len(_AT) :], subject[len(_AT) :])
    return answer.names.get(subject, subject)
