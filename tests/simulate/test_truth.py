"""The truth beside a simulated workspace knows everything that was written, and the score reads it rightly."""

import re
from collections.abc import Iterator
from contextlib import closing
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tillit.clock import DAY, HOUR, SECOND
from tillit.records import KIND_EVENT, TRUST_OPERATOR, LogRow, message_hash
from tillit.simulate import (
    CAMPAIGNS,
    HasEvents,
    NoTruth,
    Score,
    Shop,
    Truth,
    TruthTaken,
    score_workspace,
    truth_path,
    write_history,
)
from tillit.simulate.score import Pairs, count_pairs, read_beliefs
from tillit.simulate.traps import KIOSK, STORIES, Trap
from tillit.workspace import Workspace, create_workspace

NOW = 1_795_312_000 * SECOND
_N_CUSTOMERS = 1_500  # about 30,000 events


class Simulated(NamedTuple):
    ws: Workspace
    truth: Truth
    rows: list[LogRow]
    n_quarantined: int


def simulate(folder: Path, n_customers: int, *, n_processes: int = 1) -> None:
    create_workspace(folder)
    with Workspace(folder) as ws, closing(Truth.begin(truth_path(folder), Shop(5, n_customers, end=NOW))) as truth:
        write_history(ws, truth.shop(), truth, n_processes=n_processes)
        ws.flush()
        ws.folding.release()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    folder = tmp_path_factory.mktemp("simulated") / "shop"
    simulate(folder, _N_CUSTOMERS)
    with Workspace(folder) as ws, closing(Truth(truth_path(folder), read_only=True)) as truth:
        n_quarantined = sum(1 for _ in ws.quarantine.rows(limit=10_000))
        rows = [row for row in ws.log.read(0, 100_000) if row.kind == KIND_EVENT]
        yield Simulated(ws, truth, rows, n_quarantined)
        ws.folding.release()


@pytest.fixture(scope="module")
def score(simulated: Simulated) -> Score:
    return score_workspace(simulated.ws, simulated.truth)


def test_the_truth_knows_every_identifier_and_every_event(simulated: Simulated, score: Score) -> None:
    hashes = {row.message_hash for row in simulated.rows}

    assert len(simulated.rows) > 25_000
    assert hashes == simulated.truth.people_of(list(hashes)).keys()
    assert score.n_identifiers > _N_CUSTOMERS
    assert (score.n_unknown, score.n_events_unknown) == (0, 0)


def test_every_person_of_the_truth_has_a_household(simulated: Simulated) -> None:
    homeless = simulated.truth.read(
        "SELECT person_id FROM true_person WHERE kind <> 'bot' "
        "AND household_id NOT IN (SELECT household_id FROM true_household)"
    )
    strangers = simulated.truth.read(
        "SELECT DISTINCT person_id FROM true_event WHERE person_id NOT IN (SELECT person_id FROM true_person)"
    )

    assert (homeless, strangers) == ([], [])


def test_the_log_reads_as_if_it_had_been_there(simulated: Simulated) -> None:
    stamps = [row.logged_at for row in simulated.rows]

    assert all(earlier < later for earlier, later in pairwise(stamps))
    assert all(row.received_at <= row.logged_at < row.received_at + SECOND for row in simulated.rows)
    assert all(NOW - 181 * DAY < row.event_at <= row.received_at < NOW for row in simulated.rows)
    assert any(row.received_at - row.event_at > HOUR for row in simulated.rows), "late"


def test_resends_are_in_the_log_and_are_applied_once(simulated: Simulated) -> None:
    n_resent = len(simulated.rows) - len({(row.source, row.message_hash) for row in simulated.rows})
    fates = simulated.ws.events.fates(1, simulated.rows[-1].position)

    assert n_resent > 100
    assert [fate for fate, _ in fates.values()] == ["duplicate"] * n_resent
    assert simulated.n_quarantined > 50


def test_every_kind_of_trap_is_planted(score: Score) -> None:
    assert {trap.kind for trap in score.traps} == {story.kind for story in STORIES} | {KIOSK}
    assert all("not seen" not in trap.outcomes for trap in score.traps)
    assert all(trap.outcomes.keys() <= {"held", "joined wrongly", "not joined"} for trap in score.traps)


def test_nobody_is_joined_wrongly_outside_the_traps(score: Score) -> None:
    assert score.n_wrong_outside == 0
    assert score.n_wrong > 0
    assert score.recall > 0.9
    assert 0 < score.n_events_wrong < 0.05 * score.n_events


def test_nobody_is_used_for_more_than_they_chose(score: Score) -> None:
    told = {one.purpose: one for one in score.consent}

    assert told.keys() == {"analytics", "personalisation", "newsletter", "advertising"}
    assert [one.purpose for one in score.consent if one.n_more] == []
    assert all(0.85 * one.n_profiles < one.n_agree < one.n_profiles for one in score.consent)
    assert all(0 < one.n_permitted < 0.75 * one.n_profiles for one in score.consent)


def test_every_way_of_choosing_happens(simulated: Simulated) -> None:
    ways = {str(how) for (how,) in simulated.truth.read("SELECT DISTINCT how FROM true_choice")}
    (ended,) = simulated.truth.read("SELECT count(*) FROM true_choice WHERE until_at < ?", (NOW,))
    colleagues = [row for row in simulated.rows if row.trust == TRUST_OPERATOR]
    purposes = simulated.ws.consent.history()

    assert ways == {
        *("banner", "gpc", "account", "checkout", "footer", "page of choices", "link in a mailing"),
        *("telephone", "guardian", "child"),
    }
    assert ended != (0,)
    assert colleagues
    assert all(b'"evidence":"call ' in (row.body or b"") for row in colleagues)
    assert [one["operator"] for one in purposes] == ["maria", "maria", ""]


def test_traps_that_are_kept_and_traps_that_are_not(score: Score) -> None:
    # What cuts, limits and block lists are to change: these move from the second list into the first.
    wrongly = {trap.kind for trap in score.traps if "joined wrongly" in trap.outcomes}

    assert wrongly == {"gift-to-guest", "test-address", "typo-taken"}
    assert [trap.kind for trap in score.traps if "not joined" in trap.outcomes] == []


def test_the_planted_effect_of_a_campaign_can_be_read_from_the_truth(simulated: Simulated) -> None:
    bought = {
        told["properties"]["order_id"]
        for row in simulated.rows
        if b'"Order Completed"' in (row.body or b"")
        for told in [msgspec.json.decode(row.body or b"{}")]
    }
    caused = simulated.truth.read(
        "SELECT cause_key, effect_key FROM true_effect WHERE cause = 'campaign' AND effect = 'order'"
    )
    more = {
        str(name): n
        for name, n in simulated.truth.read(
            "SELECT campaign_id, sum(buys_with > buys_without) FROM true_treatment "
            "WHERE is_treated GROUP BY campaign_id"
        )
    }

    assert len(caused) > 20
    assert {order for _, order in caused} <= bought
    assert {name: sum(campaign == name for campaign, _ in caused) for name in more} == more
    assert more["slow-mornings"] == 0  # moves nobody
    assert more.keys() == {campaign.campaign_id for campaign in CAMPAIGNS}


def test_every_cause_and_effect_that_names_an_order_or_ticket_names_one_that_was(simulated: Simulated) -> None:
    said = {key.decode() for row in simulated.rows for key in re.findall(rb'"([ort]-\d{5}-\d+)"', row.body or b"")}
    told = simulated.truth.read(
        "SELECT cause, cause_key, effect, effect_key FROM true_effect WHERE at < ?", (NOW - DAY,)
    )
    named = [
        str(key)
        for cause, cause_key, effect, effect_key in told
        for kind, key in ((cause, cause_key), (effect, effect_key))
        if kind in {"order", "ticket", "return"}
    ]

    assert len(named) > 100
    assert set(named) <= said


def test_a_telephone_number_that_was_passed_on_ends_with_its_first_holder(simulated: Simulated) -> None:
    held = simulated.truth.read(
        "SELECT value, person_id, from_at, until_at FROM true_identifier WHERE namespace = 'phone' AND value IN "
        "(SELECT value FROM true_identifier WHERE why = 'passed on') ORDER BY value, from_at"
    )
    pairs = [(first, second) for first, second in pairwise(held) if first[0] == second[0]]

    assert len(pairs) == len(held) // 2 == _N_CUSTOMERS // 100
    assert all(first[3] == second[2] and second[3] is None for first, second in pairs)


def test_pairs_counted_by_groups_are_the_pairs_counted_one_by_one(simulated: Simulated) -> None:
    people: dict[tuple[str, str], set[int]] = {}
    for namespace, value, person in simulated.truth.iter_identifiers():
        people.setdefault((namespace, value), set()).update([person] if person is not None and person >= 0 else [])
    # The first three hundred customers, what is nobody's, and every robot.
    believed = read_beliefs(simulated.ws).profiles
    profiles = {handle: roots for handle, roots in believed.items() if min(people[handle], default=0) < 300}
    found = missed = wrong = 0
    for one, other in combinations(profiles, 2):
        is_one_person = bool(people[one] & people[other])
        is_joined = bool(profiles[one] & profiles[other])
        found += is_one_person and is_joined
        missed += is_one_person and not is_joined
        wrong += is_joined and not is_one_person

    counted = count_pairs(
        {handle: frozenset(people[handle]) for handle in profiles},
        profiles,
        [one.trap for one in simulated.truth.list_traps()],
    )

    assert found > 500
    assert missed > 50
    assert wrong > 10
    assert counted == Pairs(found, missed, wrong, 0)


def test_a_wrong_join_that_no_trap_explains_is_seen() -> None:
    ana, bo, cem, shared = ("user_id", "ana"), ("user_id", "bo"), ("user_id", "cem"), ("phone", "+46701740605")
    people = {ana: frozenset({1}), bo: frozenset({2}), cem: frozenset({3}), shared: frozenset({1, 2})}
    profiles = {ana: frozenset({10}), bo: frozenset({10}), cem: frozenset({10}), shared: frozenset({10})}
    trap = Trap("recycled-phone", "apart", "keep them apart", ((ana,), (bo,)), (shared,))

    pairs = count_pairs(people, profiles, [trap])

    # Ana and Bo each with the telephone are right; Ana-Bo and telephone-Cem follow from the trap; Cem's two do not.
    assert pairs == Pairs(n_found=2, n_missed=0, n_wrong=4, n_wrong_outside=2)


def test_several_processes_write_the_log_that_one_writes(tmp_path: Path) -> None:
    logs = []
    for n_processes in (1, 2):
        folder = tmp_path / f"by-{n_processes}"
        simulate(folder, 150, n_processes=n_processes)
        with Workspace(folder) as ws, closing(Truth(truth_path(folder), read_only=True)) as truth:
            counts = [
                truth.read(f"SELECT count(*) FROM {table}")
                for table in ("true_person", "true_event", "true_identifier", "true_effect", "true_treatment")
            ]
            logs.append((ws.log.read(0, 100_000), counts))

    assert logs[0] == logs[1]
    assert len(logs[0][0]) > 2_000


def test_a_simulated_workspace_rebuilds_to_what_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    simulate(folder, 120)
    with Workspace(folder) as ws:
        assert ws.folding.position() > 1_500
        assert ws.folding.check() == []


def test_the_truth_lies_beside_the_workspace_and_not_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    simulate(folder, 12)

    assert truth_path(folder) == tmp_path / "shop.truth.db"
    assert truth_path(folder).exists()
    assert [
        path for path in folder.rglob("*") if b"true_person" in (path.read_bytes() if path.is_file() else b"")
    ] == []


def test_a_past_is_not_put_under_events_nor_over_another_truth(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    simulate(folder, 12)
    with Workspace(folder) as ws, closing(Truth(truth_path(folder))) as truth, pytest.raises(HasEvents, match="shop"):
        write_history(ws, truth.shop(), truth)
    with pytest.raises(TruthTaken, match=r"shop\.truth\.db"):
        Truth.begin(truth_path(folder), Shop(5, 12, end=NOW))
    with pytest.raises(NoTruth, match=r"other\.truth\.db"):
        Truth(tmp_path / "other.truth.db", read_only=True)


def test_a_message_has_the_name_in_the_truth_that_it_has_in_the_log(simulated: Simulated) -> None:
    row = simulated.rows[0]

    assert message_hash(row.source, msgspec.json.decode(row.body or b"{}")["messageId"]) == row.message_hash
