"""What a peer that lags is sent, and what is asked of others."""

from consensus.chain import Chain
from consensus.effects import Effect, FetchBody, Send
from consensus.messages import CERTIFICATE_REQUEST_MAX, CertificateRequest, Status
from consensus.repair import (
    ANSWER_CERTIFICATES_MAX,
    ANSWER_VOTES_MAX,
    FETCHES_MAX,
    Fetches,
    Repair,
    answer_request,
    answer_status,
)
from consensus.types import Epoch, Height, ValidatorIndex, View
from consensus.view_state import Gap, Views
from tests.support.core_builders import (
    EPOCH,
    NETWORK_ID,
    NOTARIZE,
    NULLIFY,
    build_block,
    build_leader,
    build_setup,
    build_subject,
    finalization,
    notarization,
    nullification,
    sign,
)

ONE, TWO = ValidatorIndex(1), ValidatorIndex(2)


def build_known(*, final: int = 0, last: int = 0) -> tuple[Chain, Views]:
    chain, views = Chain.from_anchor(build_setup()), Views()
    if final:
        chain.finalize(finalization(build_block(final)))
    for view in range(final + 1, last + 1):
        state = views.at(View(view))
        state.certificates[NULLIFY] = nullification(view)
        state.own[NULLIFY] = sign(build_subject(NULLIFY, view), 0)
    return chain, views


def build_status(*, view: int = 1, final: int = 0, epoch: int = 0) -> Status:
    return Status(Epoch(epoch), View(view), View(final), Height(0), View(0))


def test_who_lags_is_sent_the_final_certificate_then_the_newest_of_the_rest() -> None:
    """What moves it on comes first."""
    chain, views = build_known(final=2, last=4)
    answer = answer_status(build_status(), view=View(5), chain=chain, views=views)
    assert answer == [
        finalization(build_block(2)),
        nullification(4),
        nullification(3),
        sign(build_subject(NULLIFY, 4), 0),
        sign(build_subject(NULLIFY, 3), 0),
    ]


def test_who_does_not_lag_is_sent_nothing() -> None:
    """An idle network repairs nothing."""
    chain, views = build_known(final=2)
    assert answer_status(build_status(view=3, final=2), view=View(3), chain=chain, views=views) == []


def test_answers_to_a_status_are_bounded() -> None:
    """However far behind the sender says it is."""
    chain, views = build_known(last=100)
    answer = answer_status(build_status(), view=View(101), chain=chain, views=views)
    assert len(answer) == ANSWER_CERTIFICATES_MAX + ANSWER_VOTES_MAX


def test_a_request_is_answered_with_all_that_is_held_of_a_bounded_range() -> None:
    """A notarization where a nullification was wanted is useful."""
    chain, views = build_known(final=2, last=100)
    views.at(View(3)).certificates[NOTARIZE] = notarization(build_block(3))
    request = CertificateRequest(EPOCH, View(1), View(5))
    answer = answer_request(request, chain=chain, views=views)
    assert answer == [
        finalization(build_block(2)),
        notarization(build_block(3)),
        nullification(3),
        nullification(4),
        nullification(5),
    ]
    wide = answer_request(CertificateRequest(EPOCH, View(5), View(2**63)), chain=chain, views=views)
    assert len(wide) == CERTIFICATE_REQUEST_MAX


def test_a_peer_is_answered_at_most_once_in_a_while() -> None:
    """Each kind by itself, each peer by itself."""
    chain, views = build_known(final=2, last=3)
    repair = Repair(build_setup(), 1_000, chain, views)
    out: list[Effect] = []

    def ask(peer: ValidatorIndex, at_ms: int, epoch: int = 0) -> bool:
        return repair.on_status(peer, build_status(epoch=epoch), view=View(4), now_ms=at_ms, out=out)

    assert ask(ONE, 0)
    assert not ask(ONE, 999)
    assert ask(TWO, 999)
    assert ask(ONE, 1_000)
    assert not ask(ONE, 5_000, epoch=1)
    count = len(out)
    request = CertificateRequest(EPOCH, View(3), View(3))
    for at_ms in (1_000, 1_999, 2_000):
        repair.on_request(ONE, request, now_ms=at_ms, out=out)
    assert len(out) == count + 2
    assert out[-1] == Send(ONE, nullification(3))


def test_missing_certificates_are_asked_of_one_connected_peer_after_the_other() -> None:
    """Not of the leader alone, and not again before an answer can be here."""
    chain, views = build_known()
    repair = Repair(build_setup(), 1_000, chain, views)
    out: list[Effect] = []
    gap = Gap(View(5), View(500))
    repair.request(gap, now_ms=0, out=out)
    assert out == []
    repair.note_up(ONE)
    repair.note_up(TWO)
    for at_ms in (0, 999, 1_000):
        repair.request(gap, now_ms=at_ms, out=out)
    request = CertificateRequest(EPOCH, View(5), View(5 + CERTIFICATE_REQUEST_MAX - 1))
    assert {effect.peer for effect in out if isinstance(effect, Send)} == {ONE, TWO}
    assert [effect.message for effect in out if isinstance(effect, Send)] == [request, request]
    repair.note_down(TWO)
    repair.note_down(TWO)
    repair.request(Gap(View(6), View(500)), now_ms=1_000, out=out)
    repair.request(Gap(View(68), View(500)), now_ms=1_000, out=out)
    assert len(out) == 2
    repair.request(Gap(View(69), View(70)), now_ms=1_000, out=out)
    assert out[-1] == Send(ONE, CertificateRequest(EPOCH, View(69), View(70)))


def build_fetches() -> tuple[Fetches, Chain, Views]:
    setup = build_setup()
    chain, views = Chain.from_anchor(setup), Views()
    return Fetches(setup, int.from_bytes(NETWORK_ID[:8], "big"), chain, views), chain, views


def test_a_body_is_asked_of_its_leader_and_its_voters_but_not_of_ourselves() -> None:
    """Once, until it is here."""
    fetches, _, _ = build_fetches()
    block = build_block(3)
    out: list[Effect] = []
    fetches.want(notarization(block, 0, 1, 2), out)
    fetches.want(notarization(block, 0, 1, 2), out)
    fetches.want(nullification(4), out)
    leader = build_leader(3)
    others = (ValidatorIndex(signer) for signer in (1, 2))
    hints = (*((leader,) if leader else ()), *(signer for signer in others if signer != leader))
    assert out == [FetchBody(block.header.digest(), hints)]
    assert block.header.digest() in fetches
    fetches.note_arrived(block.header.digest())
    assert block.header.digest() not in fetches
    assert not fetches.open_digests


def test_open_fetches_are_bounded() -> None:
    """More wait for their turn."""
    fetches, _, views = build_fetches()
    out: list[Effect] = []
    for view in range(1, FETCHES_MAX + 10):
        views.at(View(view)).certificates[NOTARIZE] = notarization(build_block(view))
    fetches.want_all(out)
    assert len(out) == FETCHES_MAX


def test_fetches_that_finality_made_needless_are_forgotten() -> None:
    """Those still needed are not asked for again."""
    fetches, chain, views = build_fetches()
    old, new = build_block(1), build_block(3)
    out: list[Effect] = []
    fetches.refresh(out)
    for block in (old, new):
        views.at(block.header.view).certificates[NOTARIZE] = notarization(block)
    fetches.want_all(out)
    chain.finalize(finalization(build_block(2)))
    fetches.refresh(out)
    asked = [effect.digest for effect in out if isinstance(effect, FetchBody)]
    assert asked == [old.header.digest(), new.header.digest(), build_block(2).header.digest()]
    assert list(fetches.open_digests) == [build_block(2).header.digest(), new.header.digest()]
