"""Which release is started: from any state, over any disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from agent.launcher import changes
from agent.launcher.choice import MAX_CRASHES, Decision, World, decide
from agent.launcher.state import MAX_ATTEMPTS, State, Trial, dump, load
from agent.launcher.verdict import Verdict

A, B, C = "a" * 64, "b" * 64, "c" * 64
SLOTS = (A, B, C)
BAKED = Verdict(build_id="0" * 64, version="1.0.0", reads=(1,), writes=1)


def good(build_id: str, floor: int = 0) -> Verdict:
    return Verdict(build_id=build_id, version="2.0.0", reads=(1,), writes=1, security_floor=floor)


def world(slots: Mapping[str, Verdict], *, baked: Verdict = BAKED, can_count: bool = True) -> World:
    return World(
        baked=baked,
        slot=lambda build_id: slots.get(build_id, Verdict(why="it is not there")),
        can_count=can_count,
        at="2026-01-01T00:00:00Z",
    )


def trial_of(build_id: str, attempts: int = 0) -> Trial:
    return Trial(build_id, "2.0.0", "command-1", "self_update", 90, True, None, attempts)


slots = st.none() | st.sampled_from(SLOTS)
verdicts = st.dictionaries(
    st.sampled_from(SLOTS), st.builds(good, st.sampled_from(SLOTS), st.integers(0, 3))
) | st.dictionaries(st.sampled_from(SLOTS), st.just(Verdict(why="it is damaged")))
trials = st.none() | st.builds(trial_of, st.sampled_from(SLOTS), st.integers(0, MAX_ATTEMPTS + 1))
states = st.builds(
    State,
    active=slots,
    fallback=slots,
    trial=trials,
    baked_seen=st.sampled_from(["", BAKED.build_id, "1" * 64]),
    crashes=st.integers(0, 7),
    security_floor=st.integers(0, 3),
)
bakeds = st.sampled_from(
    [BAKED, BAKED.but(security_floor=2), BAKED.but(why="it is damaged"), Verdict(why="gone")]
)


@given(states, verdicts, bakeds, st.booleans())
def test_what_is_started_verifies(
    state: State, found: dict[str, Verdict], baked: Verdict, can_count: bool
) -> None:
    """Always; but for the image's release, which is the last resort."""
    here = world(found, baked=baked, can_count=can_count)
    decision = decide(state, here)
    if decision.slot is None:
        assert decision.verdict == baked
    else:
        assert decision.verdict == here.slot(decision.slot)
        assert decision.verdict.is_good
        assert decision.verdict.security_floor >= state.security_floor
        assert decision.slot in decision.state.slots


@given(states, verdicts, bakeds)
def test_deciding_comes_to_rest(state: State, found: dict[str, Verdict], baked: Verdict) -> None:
    """A trial ends after its attempts; then deciding again chooses the same and changes nothing."""
    here = world(found, baked=baked)
    for _ in range(MAX_ATTEMPTS + 1):
        decision = decide(state, here)
        assert decide(state, here) == decision  # nothing was written: nothing else is decided
        state = decision.state
        if not decision.on_trial:
            break
    assert state.trial is None
    assert decide(state, here).state == state
    assert decide(state, here).slot == decision.slot


@given(states, verdicts, bakeds)
def test_an_attempt_is_counted_first(
    state: State, found: dict[str, Verdict], baked: Verdict
) -> None:
    """What is started on trial has one attempt more in the state that is to be written before."""
    decision = decide(state, world(found, baked=baked))
    if decision.on_trial:
        assert state.trial is not None
        assert decision.state.trial == state.trial.but(attempts=state.trial.attempts + 1)
        assert state.trial.attempts < MAX_ATTEMPTS


@given(states, verdicts)
def test_what_cannot_be_counted_is_not_tried(state: State, found: dict[str, Verdict]) -> None:
    """The trial waits in the state, unless the operator changed the image."""
    decision = decide(state, world(found, can_count=False))
    assert not decision.on_trial
    assert decision.state.trial in (state.trial, None)
    if state.baked_seen == BAKED.build_id:
        assert decision.state.trial == state.trial


steps = st.lists(
    st.sampled_from(
        ["switch a", "switch b", "start", "register", "fail", "late", "crash", "image"]
    ),
    max_size=25,
)


def life(names: list[str], here: Callable[[], World]) -> list[State]:
    """All states that are written in a life with these steps, in order."""
    written = [State()]
    decision: Decision | None = None

    def write(state: State) -> None:
        written.append(state.but(seq=len(written)))

    for name in names:
        state = written[-1]
        match name:
            case "start":
                decision = decide(state, here())
                write(decision.state)
            case "switch a" | "switch b" if state.trial is None and decision:
                write(changes.to_trial(state, trial_of(A if name.endswith("a") else B)))
                decision = None
            case "register" if decision and decision.on_trial and state.trial:
                write(changes.committed(state, decision.verdict, BAKED))
                decision = None
            case "register" if decision:
                write(changes.registered(state, decision.verdict))
            case "fail" if state.trial:
                write(changes.attempt_failed(state, "exited with 3"))
            case "late" if state.trial:
                write(changes.rolled_back(state, "late", "2026-01-01T00:00:00Z"))
            case "crash":
                write(changes.crashed(state))
            case "image":
                write(changes.image_changed(state, BAKED))
    return written


@given(steps, st.sets(st.sampled_from(SLOTS)))
def test_after_any_prefix_of_writes(names: list[str], damaged: set[str]) -> None:
    """Whatever was the last thing written, and whatever has rotted since: what is started verifies."""
    whole = {slot: good(slot) for slot in SLOTS}
    left = {slot: verdict for slot, verdict in whole.items() if slot not in damaged}
    for state in life(names, lambda: world(whole)):
        assert load(dump(state)) == state
        decision = decide(state, world(left))
        assert decision.verdict.is_good
        assert decision.slot is None or decision.slot in left


def test_the_image_was_changed() -> None:
    """The operator's word: its release wins over what is installed, and an update under way is answered."""
    state = State(active=A, fallback=B, trial=trial_of(C), baked_seen="1" * 64, crashes=2)
    decision = decide(state, world({A: good(A), C: good(C)}))
    assert decision.slot is None
    assert decision.state.slots == set()
    assert decision.state.baked_seen == BAKED.build_id
    assert decision.state.last_result is not None
    assert decision.state.last_result.outcome == "rolled_back"


def test_an_older_image_below_the_floor() -> None:
    """It does not win over a release that may be run; without one it is the last resort, and that is said."""
    state = State(active=A, baked_seen="1" * 64, security_floor=2)
    assert decide(state, world({A: good(A, 2)})).slot == A
    decision = decide(state, world({}))
    assert decision.slot is None
    assert any("there is no other" in note for note in decision.notes)


def test_active_then_fallback_then_image() -> None:
    """The first that verifies, in that order; what was passed over is no longer referred to."""
    state = State(active=A, fallback=B, baked_seen=BAKED.build_id)
    assert decide(state, world({A: good(A), B: good(B)})).slot == A
    decision = decide(state, world({B: good(B)}))
    assert (decision.slot, decision.state.active, decision.state.fallback) == (B, B, None)
    assert decide(state, world({})).slot is None


def test_crashes() -> None:
    """One too many, and the fallback gets its turn; the image's release has none."""
    state = State(active=A, fallback=B, baked_seen=BAKED.build_id, crashes=MAX_CRASHES - 1)
    found = {A: good(A), B: good(B)}
    assert decide(state, world(found)).slot == A
    decision = decide(changes.crashed(state), world(found))
    assert (decision.slot, decision.state.crashes) == (B, 0)
    assert list(decision.state.failed) == [A]
    alone = State(baked_seen=BAKED.build_id, crashes=99)
    assert decide(alone, world(found)).state == alone


def test_ignored_slots() -> None:
    """Nothing is changed, so that all is as before when they are not ignored any more."""
    state = State(active=A, baked_seen="1" * 64)
    decision = decide(state, world({A: good(A)}).but(ignore_slots=True))
    assert (decision.slot, decision.state) == (None, state)


def test_a_fallback_must_read_the_new_data() -> None:
    """After a migration there is no way back to what cannot read what it leaves."""
    state = State(active=A, trial=trial_of(B, 1), baked_seen=BAKED.build_id)
    migrated = good(B).but(reads=(1, 2), writes=2)
    assert changes.committed(state, migrated, good(A)).fallback is None
    assert changes.committed(state, migrated, good(A).but(reads=(1, 2))).fallback == A


def test_failures_are_bounded() -> None:
    """The oldest go; the state has to fit into the ballast."""
    state = State()
    for n in range(40):
        trial = trial_of(f"{n:064x}", 3)
        reason = "x" * 5000
        state = changes.rolled_back(state.but(trial=trial), reason, f"2026-01-01T00:00:{n:02}Z")
    assert list(state.failed) == [f"{n:064x}" for n in range(24, 40)]
    assert len(dump(state)) < 32 * 1024
