"""The core is total over peer input: whatever well-typed message arrives, it answers with effects and no exception."""

import dataclasses

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consensus.effects import Halt, Persist, ReportFault
from consensus.errors import InvariantError
from consensus.inputs import (
    BodyAvailable,
    Built,
    Executed,
    Guarded,
    Input,
    Judged,
    MessageReceived,
    PeerDown,
    PeerUp,
    TimerFired,
    TimerId,
    WorkDue,
)
from consensus.messages import (
    FLAG_EPOCH_END,
    Block,
    Certificate,
    CertificateRequest,
    CoreMessage,
    Header,
    Proposal,
    Status,
    Subject,
    Vote,
    VoteKind,
    decode_header,
    payload_digest,
)
from consensus.recovery import GUARD_CLOSED
from consensus.types import U64_MAX, ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from tests.support.core_builders import (
    CoreHarness,
    build_block,
    build_proposal,
    build_subject,
    certify,
    change_header,
    finalization,
    notarization,
    nullification,
    sign,
)

LINE: list[Block] = []
for _view in range(1, 8):
    LINE.append(build_block(_view, parent=LINE[-1] if LINE else None))
RIVALS = [build_block(view, payload=b"rival") for view in range(1, 8)]
SEALS = [change_header(block, flags=FLAG_EPOCH_END, next_epoch_digest=block.header.cut_digest) for block in LINE[1:5]]
NAMED = [*LINE, *RIVALS, *SEALS]

digests = st.sampled_from([ZERO_DIGEST, *(block.header.digest() for block in NAMED)]) | st.binary(
    min_size=32, max_size=32
).map(Digest)
numbers = st.integers(0, 9) | st.sampled_from([63, 64, 65, 66, 2**32, U64_MAX - 1, U64_MAX])
views = numbers.map(View)
peers = st.integers(0, 4).map(ValidatorIndex)
signatures = st.sampled_from([bytes(64), b"", b"x" * 64, bytes(65)])
subjects = st.builds(
    Subject,
    kind=st.sampled_from(VoteKind),
    epoch=st.integers(0, 1).map(Epoch),
    view=views,
    parent_view=views,
    digest=digests | st.just(Digest(b"short")),
)
good_subjects = st.one_of(
    st.builds(lambda view: build_subject(VoteKind.NULLIFY, view), st.integers(1, 9)),
    st.builds(
        lambda kind, block, step: build_subject(
            kind,
            block.header.view,
            block.header.digest(),
            parent_view=max(0, block.header.view - step) if kind == VoteKind.NOTARIZE else 0,
        ),
        st.sampled_from([VoteKind.NOTARIZE, VoteKind.FINALIZE]),
        st.sampled_from(NAMED),
        st.integers(1, 3),
    ),
)
votes = st.builds(Vote, subjects, peers, signatures) | st.builds(sign, good_subjects, st.integers(0, 3))
raw_certificates = st.builds(Certificate, subjects, st.lists(st.tuples(peers, signatures), max_size=5).map(tuple))
later = st.integers(0, 3)
honest_certificates = st.one_of(
    st.sampled_from(LINE).map(notarization),
    st.sampled_from(LINE).map(finalization),
    st.builds(lambda block, later: notarization(block, view=block.header.view + later), st.sampled_from(SEALS), later),
    st.builds(lambda block, later: finalization(block, view=block.header.view + later), st.sampled_from(SEALS), later),
    st.integers(1, 9).map(nullification),
    good_subjects.map(certify),
)
certificates = raw_certificates | honest_certificates
headers = st.builds(
    Header,
    network_id=digests,
    epoch=numbers.map(Epoch),
    height=numbers.map(Height),
    view=views,
    proposer=peers,
    parent_digest=digests,
    timestamp_ms=numbers,
    cut_digest=digests | st.just(payload_digest(b"")),
    batch_root=digests,
    history_root=digests,
    batch_count=st.integers(0, 2**32),
    transaction_count=st.integers(0, 9),
    executed_height=numbers.map(Height),
    state_digest=digests,
    flags=st.integers(0, 300),
    next_epoch_digest=digests,
)
blocks = st.builds(Block, headers, st.binary(max_size=4)) | st.sampled_from(NAMED)


@st.composite
def near_proposals(draw: st.DrawFn) -> Proposal:
    """Proposals that are right but for a part or two."""
    block = draw(st.sampled_from(NAMED))
    view = draw(st.none() | later.map(lambda wait: block.header.view + wait))
    parent = draw(st.none() | honest_certificates)
    skipped = draw(st.lists(st.integers(1, 8), max_size=3, unique=True))
    proposal = build_proposal(
        block,
        parent=parent,
        nullifications=tuple(nullification(view) for view in sorted(skipped, reverse=True)),
        executed=draw(st.none() | certificates),
        view=view,
    )
    if draw(st.integers(0, 3)) == 0:
        proposal = dataclasses.replace(proposal, block=draw(blocks))
    return proposal


proposals = near_proposals() | st.builds(
    Proposal,
    view=views,
    block=blocks,
    parent_view=views,
    parent_certificate=st.none() | certificates,
    nullifications=st.lists(certificates, max_size=34).map(tuple),
    executed_certificate=st.none() | certificates,
    leader_vote=votes,
)
statuses = st.builds(Status, numbers.map(Epoch), views, views, numbers.map(Height), views)
requests = st.builds(CertificateRequest, st.integers(0, 1).map(Epoch), views, views)
messages: st.SearchStrategy[CoreMessage] = st.one_of(votes, certificates, proposals, statuses, requests)
received = st.builds(MessageReceived, st.none() | st.integers(0, 3).map(ValidatorIndex), messages)
others = st.one_of(
    st.builds(TimerFired, st.sampled_from(TimerId), views),
    st.builds(Judged, digests, st.just(True)),
    st.sampled_from([*LINE, *SEALS]).map(BodyAvailable),
    st.builds(Guarded, st.sampled_from([View(0), View(3), GUARD_CLOSED])),
    st.builds(WorkDue, st.booleans()),
    st.builds(PeerUp, st.integers(0, 3).map(ValidatorIndex)),
    st.builds(PeerDown, st.integers(0, 3).map(ValidatorIndex)),
    st.builds(Executed, st.integers(0, 6).map(Height), st.just(ZERO_DIGEST)),
    st.builds(Built, views, digests, st.none()),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.tuples(received | others, st.integers(0, 3_000)), max_size=25))
def test_any_messages_give_effects_and_never_an_exception(inputs: list[tuple[Input, int]]) -> None:
    """T-38: and no step ever makes the node vote twice, or nullify and finalize, however it is pushed."""
    harness = CoreHarness(0)
    given_votes: dict[tuple[VoteKind, int], Vote] = {}
    view = 1
    for incoming, wait_ms in inputs:
        harness.now_ms += wait_ms
        for effect in harness.feed(incoming):
            if isinstance(effect, Persist) and isinstance(effect.record, Vote):
                subject = effect.record.subject
                assert (subject.kind, subject.view) not in given_votes
                given_votes[subject.kind, subject.view] = effect.record
            if isinstance(effect, ReportFault) and effect.provable:
                assert effect.peer is not None
            if isinstance(effect, Halt):
                assert harness.core.is_halted
        assert harness.core.view >= view
        view = harness.core.view
    for kind, number in given_votes:
        if kind == VoteKind.NULLIFY:
            assert (VoteKind.FINALIZE, number) not in given_votes


@given(st.binary(max_size=500))
def test_decoding_a_header_raises_value_errors_only(encoded: bytes) -> None:
    """Whatever the bytes."""
    try:
        header = decode_header(encoded)
    except ValueError:
        return
    assert header.encode() == encoded


@given(headers)
def test_headers_in_range_survive_their_encoding(header: Header) -> None:
    """The digest names exactly one header."""
    if header.batch_count < 2**32 and header.flags < 256:
        assert decode_header(header.encode()) == header
        assert not issubclass(InvariantError, ValueError)
