"""The core with one rule broken at a time, each of which the search must notice: a checker that finds nothing in a
broken core proves nothing about a whole one.

A variant replaces words in the source of one or more functions of the real core, so that it breaks what is there now,
and fails to apply when the core no longer reads so.
"""

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import consensus.certificates
import consensus.core
import consensus.proposal_rules
import consensus.restoration
import consensus.voting
from consensus.admission import Admission
from consensus.certificates import Notary
from consensus.chain import Chain
from consensus.core import Core
from consensus.voting import Voter
from tests.model.explorer import Configuration


@dataclass(frozen=True, slots=True)
class Edit:
    """Words of one function and what stands in their place. owner: the module or class whose attribute it is."""

    owner: Any
    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Variant:
    """A broken core. rule: what it no longer keeps. search: the smallest search that notices. finds: what it says."""

    name: str
    rule: str
    search: Configuration
    finds: str
    edits: tuple[Edit, ...]


@contextmanager
def broken(variant: Variant) -> Iterator[None]:
    """Break the core for as long as the context lasts."""
    with ExitStack() as stack:
        for edit in variant.edits:
            stack.enter_context(patch.object(edit.owner, edit.name, _edited(edit)))
        yield


def _edited(edit: Edit) -> Any:
    function = getattr(edit.owner, edit.name)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(edit.old) != 1:
        raise LookupError(f"{edit.name} no longer reads {edit.old!r}: the variant must follow the core")
    found: dict[str, Any] = {}
    exec(source.replace(edit.old, edit.new), function.__globals__, found)
    return found[edit.name]


_LIAR_FIRST = Configuration(liar_leads=1, views=1)
_HEARSAY = Configuration(liar_leads=1, views=1, with_hearsay=True)
_RESTARTS = Configuration(liar_leads=1, views=1, with_restarts=True)
_LIAR_SECOND = Configuration(liar_leads=2, views=2)
_SEALS = Configuration(liar_leads=2, views=2, with_seals=True)
_FORGERIES = Configuration(liar_leads=2, views=2, with_forgeries=True)

VARIANTS = (
    Variant(
        "block-above-the-last-one",
        "nothing but itself follows the last block of an epoch",
        _SEALS,
        "I-19: ",
        (Edit(consensus.proposal_rules, "_examine_links", "if chain.is_last(parent.digest):", "if False:"),),
    ),
    Variant(
        "second-block-of-a-view",
        "notarize once in a view (lemma A)",
        _LIAR_FIRST,
        "I-3: ",
        (
            Edit(consensus.voting, "may_notarize", "and VoteKind.NOTARIZE not in state.own", ""),
            Edit(Core, "_on_proposal", "if state.proposal is not None and", "if False and"),
        ),
    ),
    Variant(
        "finalize-after-nullify",
        "never nullify and finalize one view (lemma B)",
        _LIAR_FIRST,
        "I-3: ",
        (Edit(consensus.voting, "may_finalize", "and VoteKind.NULLIFY not in state.own", ""),),
    ),
    Variant(
        "finalize-another-block",
        "finalize only what one would have notarized",
        _LIAR_FIRST,
        "I-3: ",
        (
            Edit(
                consensus.voting,
                "may_finalize",
                "and (notarized is None or notarized.subject.digest == digest)",
                "",
            ),
        ),
    ),
    Variant(
        "gap-below-a-proposal",
        "P3: every view between a block and its parent is nullified (lemma C)",
        _LIAR_SECOND,
        "",
        (
            Edit(
                consensus.proposal_rules,
                "_examine_ancestry",
                "return views.find_gap(above=parent_view, below=proposal.view)",
                "return None",
            ),
        ),
    ),
    Variant(
        "parent-of-another-certificate",
        "P3: the parent's certificate is of the parent",
        _FORGERIES,
        "I-",
        (
            Edit(
                consensus.proposal_rules,
                "_examine_ancestry",
                "if stands_on != parent_digest:",
                "if False:",
            ),
        ),
    ),
    Variant(
        "quorum-one-short",
        "a certificate needs n - f votes",
        _HEARSAY,
        "",
        (
            Edit(Notary, "certify", "quorum = quorum_size(self.validator_count)", "quorum = 2"),
            Edit(Notary, "fault_of", "< quorum_size(self.validator_count)", "< 2"),
        ),
    ),
    Variant(
        "one-signer-counted-twice",
        "a certificate's signers are distinct",
        _HEARSAY,
        "",
        (Edit(Notary, "fault_of", "if not last < signer < self.validator_count:", "if False:"),),
    ),
    Variant(
        "votes-counted-instead-of-signers",
        "one vote a signer counts",
        _HEARSAY,
        "",
        (
            Edit(
                Admission,
                "admit_vote",
                "if held.subject == vote.subject:",
                "if held.subject == vote.subject: state._counts[vote.subject] += 1; return True\n        if False:",
            ),
            Edit(Notary, "certify", "if len(good) < quorum:", "if False:"),
        ),
    ),
    Variant(
        "signatures-unread",
        "every signature of a certificate is verified",
        _HEARSAY,
        "",
        (Edit(Notary, "fault_of", "if not self.verifier.verify(signer, message, signature):", "if False:"),),
    ),
    Variant(
        "certificates-of-another-epoch",
        "what was signed in one epoch counts in no other",
        _FORGERIES,
        "I-",
        (
            Edit(Admission, "admit_certificate", "if subject.epoch != self.notary.epoch:", "if False:"),
            Edit(Notary, "fault_of", "if subject.epoch != self.epoch:", "if False:"),
        ),
    ),
    Variant(
        "final-when-notarized",
        "a block is final by finalize votes, not by its notarization",
        _LIAR_FIRST,
        "does not finalize",
        (
            Edit(
                Core,
                "_take_in",
                "if subject.kind == VoteKind.NOTARIZE:",
                "if subject.kind == VoteKind.NOTARIZE: self._note_final(certificate)\n    if False:",
            ),
        ),
    ),
    Variant(
        "votes-forgotten-by-a-restart",
        "the vote log locks every later life",
        _RESTARTS,
        "I-3: ",
        (Edit(consensus.core, "restore", "state.own[subject.kind] = vote", "pass"),),
    ),
    Variant(
        "vote-not-recorded",
        "a vote is on disk before anybody sees it",
        _LIAR_FIRST,
        "not on its disk",
        (Edit(Voter, "_sign", "out.append(Persist(vote))", "pass"),),
    ),
    Variant(
        "vote-sent-before-its-record",
        "records come first in the effects of a step",
        _LIAR_FIRST,
        "not on its disk",
        (
            Edit(
                Core,
                "step",
                "return (*durable, *(effect for effect in self._out if not isinstance(effect, Persist | StoreBlock)))",
                "return (*(effect for effect in self._out if effect not in durable), *durable)",
            ),
        ),
    ),
    Variant(
        "block-not-stored",
        "a block is on disk before a vote for it",
        _LIAR_FIRST,
        "block that is not on its disk",
        (Edit(Core, "_take_body", "self._out.append(StoreBlock(known.block))", "pass"),),
    ),
    Variant(
        "finalize-without-the-block",
        "finalize only what is local with all its ancestors",
        _LIAR_FIRST,
        "block that is not on its disk",
        (Edit(Core, "_finalize_all", "if self._chain.is_local(digest):", "if True:"),),
    ),
    Variant(
        "branch-handed-out",
        "what is handed out follows what was handed out before",
        _LIAR_SECOND,
        "does not follow",
        (
            Edit(
                Chain,
                "_path_to",
                "if cursor.header.parent_digest == self.delivered.digest:",
                "if True:",
            ),
        ),
    ),
)
