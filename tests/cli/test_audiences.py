"""`tillit plan|apply` of features and audiences, `tillit audience|feature`, as a colleague types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.audience_shop import BIG, CALLERS, PURPOSES, QUIET, REGULARS, SPEND, id_of, make_shop
from tests.cli.in_process import Done, run
from tests.looks import looks
from tests.still_clock import Clock
from tillit.clock import SECOND
from tillit.workspace import Workspace

LONG_AGO = 1_700_000_000 * SECOND
BESIDE = """
audience: beside
purpose: newsletter
definition: {group: {kind: household, member: {event: Order Completed}, others_only: true}}
"""
QUIET_FOR_LIFE = QUIET.replace("30d", "30000d")


@pytest.fixture
def shop(workspace_dir: Path) -> Path:
    """A shop whose folder has definitions; nothing is in force. An audience comes before those that it names."""
    # Commands read the machine's clock: what happened lies before it, and within no window that ends soon.
    make_shop(workspace_dir, Clock(LONG_AGO)).close()
    for folder, name, text in (
        ("features", "spend", SPEND),
        ("audiences", "a-big", BIG),
        ("audiences", "b-quiet", QUIET_FOR_LIFE),
        ("audiences", "c-regulars", REGULARS),
        ("audiences", "d-callers", CALLERS),
    ):
        (workspace_dir / folder).mkdir(exist_ok=True)
        (workspace_dir / folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return workspace_dir


@pytest.fixture
def applied(shop: Path) -> Path:
    typed(shop, "apply", "--yes", "--reason", "spring")
    return shop


def typed(shop: Path, *words: str, code: int = 0, typed: str = "") -> Done:
    done = run(*words, "--workspace", str(shop), typed=typed)
    assert done.returncode == code, done
    return done


def told(shop: Path, *words: str, code: int = 0) -> Any:
    return json.loads(typed(shop, *words, "--json", code=code).stdout)


def ids(shop: Path) -> dict[str, str]:
    with Workspace(shop) as ws:
        return {who: id_of(ws, who) for who in ("ana", "bo", "cem")}


# -- plan and apply


def test_a_plan_of_a_folder_says_who_would_enter_and_changes_nothing(shop: Path) -> None:
    planned = told(shop, "plan")
    printed = typed(shop, "plan").stdout

    assert [one["name"] for one in planned["features"]] == ["spend"]
    # Each after those that it names.
    names = [one["name"] for one in planned["audiences"]]
    assert names.index("regulars") < min(names.index("big"), names.index("quiet"))
    regulars = next(one for one in planned["audiences"] if one["name"] == "regulars")
    assert regulars["people"].items() >= {"before": 0, "after": 2, "entering": 2, "leaving": 0}.items()
    assert regulars["cases"] == [{"profile_id": ids(shop)["ana"], "change": "enters"}]
    assert regulars["withheld"] == {"no_consent": 1}
    assert "2 would enter, 0 would leave" in printed
    for_news = [one for one in planned["audiences"] if one["purpose"] == "newsletter"]
    assert ids(shop)["bo"] not in json.dumps(for_news)
    assert told(shop, "audience", "list") == {"audiences": []}
    with Workspace(shop) as ws:
        assert {one.subject_ref for one in looks(ws) if one.purpose == "newsletter"} <= {
            id_of(ws, who) for who in ("ana", "cem")
        }
        assert {one.route for one in looks(ws)} == {"tillit plan"}


def test_a_folder_is_applied_once_and_what_is_in_force_is_left_alone(applied: Path) -> None:
    again = typed(applied, "apply", "--yes")
    listed = told(applied, "audience", "list")["audiences"]

    assert again.stdout == ""
    assert {one["audience"]: one["members"] for one in listed} == {"big": 1, "callers": 3, "quiet": 0, "regulars": 2}
    assert {one["state"] for one in listed} == {"live"}
    with Workspace(applied) as ws:
        actions = [(one.action, one.target) for one in ws.audit.actions()]
        assert [one.reason for one in ws.audiences.history("audience", "big")] == ["spring"]
    assert actions[-1] == ("feature.apply", "spend")
    assert {action for action, _ in actions[:-1]} == {"audience.apply"}


def test_a_change_says_who_leaves_and_can_be_taken_back(applied: Path) -> None:
    file = applied / "audiences" / "c-regulars.yaml"
    file.write_text(REGULARS.replace("at_least: 2", "at_least: 3"), encoding="utf-8")
    planned = told(applied, "plan", str(file))
    changed = typed(applied, "apply", str(file), "--yes", "--reason", "fewer")
    fewer = told(applied, "audience", "count", "regulars")
    typed(applied, "apply", str(file), "--undo", "--yes")
    back = told(applied, "audience", "count", "regulars")

    assert planned["people"].items() >= {"before": 2, "after": 1, "entering": 0, "leaving": 1}.items()
    assert [line for line in planned["diff"] if line[:1] in "+-" and "at_least" in line] == [
        "-definition: {event: Order Completed, count: {at_least: 2}}",
        "+definition: {event: Order Completed, count: {at_least: 3}}",
    ]
    assert "To go back" in changed.stdout
    assert (fewer["members"], back["members"]) == (1, 2)
    with Workspace(applied) as ws:
        history = ws.audiences.history("audience", "regulars")
    assert history[0].text == history[2].text != history[1].text


def test_what_was_applied_once_has_nothing_to_go_back_to(applied: Path) -> None:
    done = typed(applied, "apply", str(applied / "features"), "--undo", "--yes", code=2)

    assert "nothing was before" in done.stderr


def test_one_that_is_retired_comes_after_those_that_let_go_of_it(applied: Path) -> None:
    (applied / "audiences" / "c-regulars.yaml").write_text(REGULARS + "retired: true\n", encoding="utf-8")
    used = typed(applied, "apply", str(applied / "audiences" / "c-regulars.yaml"), "--yes", code=2)
    for name, text in (("a-big", BIG), ("b-quiet", QUIET_FOR_LIFE)):
        alone = text.replace("    - audience: regulars\n", "    - {event: Order Completed}\n")
        (applied / "audiences" / f"{name}.yaml").write_text(alone, encoding="utf-8")

    typed(applied, "apply", "--yes")

    assert "named by" in used.stderr
    assert {one["audience"] for one in told(applied, "audience", "list")["audiences"]} == {"big", "callers", "quiet"}


def test_a_circle_is_refused_with_its_way_round(applied: Path) -> None:
    file = applied / "audiences" / "c-regulars.yaml"
    file.write_text(REGULARS.replace("{event: Order Completed, count: {at_least: 2}}", "{audience: big}"), "utf-8")

    done = typed(applied, "plan", str(applied / "audiences"), code=2)

    assert "regulars" in done.stderr
    assert "big" in done.stderr


@pytest.mark.parametrize("purpose", ["unknown", "own_data"])
def test_an_audience_for_a_purpose_that_is_not_declared_is_refused(shop: Path, purpose: str) -> None:
    file = shop / "audiences" / "d-callers.yaml"
    file.write_text(CALLERS.replace("service", purpose), encoding="utf-8")

    done = typed(shop, "apply", str(file), "--yes", code=2)

    assert "is not declared" in done.stderr


@pytest.mark.parametrize("name", ["changes", "preview"])
def test_a_word_that_the_api_uses_is_no_name(shop: Path, name: str) -> None:
    file = shop / "audiences" / "d-callers.yaml"
    file.write_text(CALLERS.replace("audience: callers", f"audience: {name}"), encoding="utf-8")

    done = typed(shop, "apply", str(file), "--yes", code=2)

    assert "Choose another name" in done.stderr


# -- looking


def test_members_are_ids_of_those_whom_the_purpose_may_use(applied: Path) -> None:
    whole = typed(applied, "audience", "members", "regulars")
    first = told(applied, "audience", "members", "callers", "--limit", "1")
    second = told(applied, "audience", "members", "callers", "--limit", "1", "--after", str(first["next"]))

    known = ids(applied)
    assert whole.stdout.split() == [known["ana"]]
    assert "1 not: Nobody said yes" in whole.stderr
    assert [one["profile_id"] for one in first["members"] + second["members"]] == [known["ana"], known["bo"]]
    assert set(first["members"][0]) == {"profile_id", "since", "cause"}
    with Workspace(applied) as ws:
        assert {one.route for one in looks(ws)} == {"tillit audience members"}
        assert {one.subject_ref for one in looks(ws) if one.purpose == "newsletter"} == {known["ana"]}


def test_a_count_says_how_many_are_withheld_and_why(applied: Path) -> None:
    found = told(applied, "audience", "count", "regulars")
    printed = typed(applied, "audience", "count", "regulars").stdout

    assert found == {
        "audience": "regulars",
        "as_of": None,
        "purpose": "newsletter",
        "members": 2,
        "permitted": 1,
        "withheld": {"no_consent": 1},
    }
    assert "2 members; 1 may be used for newsletter." in printed


def test_a_preview_is_of_a_file_that_need_not_be_in_force(shop: Path) -> None:
    file = shop / "audiences" / "c-regulars.yaml"
    found = told(shop, "audience", "preview", str(file))
    for_service = told(shop, "audience", "preview", str(file), "--purpose", "service", "--sample", "1")
    printed = typed(shop, "audience", "preview", str(file)).stdout

    known = ids(shop)
    assert (found["people"], found["of"], found["permitted"]) == (2, 3, 1)
    assert (found["sample"], found["withheld"]) == ([known["ana"]], {"no_consent": 1})
    assert (for_service["permitted"], len(for_service["sample"])) == (2, 1)
    assert "2 of 3 people" in printed
    assert known["bo"] not in printed
    assert told(shop, "audience", "list") == {"audiences": []}


@pytest.mark.parametrize(
    ("text", "code"),
    [("audience: a\npurpose: service\ndefinition: {evnt: A}\n", 2), (None, 2)],
    ids=["cannot be read", "is not there"],
)
def test_a_file_that_cannot_be_tried_says_why(shop: Path, text: str | None, code: int) -> None:
    file = shop / "try.yaml"
    if text is not None:
        file.write_text(text, encoding="utf-8")

    done = typed(shop, "audience", "preview", str(file), code=code)

    assert ("Did you mean 'event'" in done.stderr) if text is not None else ("no file" in done.stderr)


def test_why_calls_who_fits_in_a_household_by_name_and_leaves_ids_to_programs(shop: Path) -> None:
    (shop / "audiences" / "e-beside.yaml").write_text(BESIDE, encoding="utf-8")
    with Workspace(shop, now=Clock(LONG_AGO + 60 * SECOND).now) as ws:
        ws.consent.apply(PURPOSES.replace("events,", "events, groups,"), reason="", operator="kim")
        for who in ("ana", "bo", "cem"):
            ws.group(group_id="h1", traits={"kind": "household"}, user_id=who)
    typed(shop, "apply", "--yes", "--reason", "spring")

    found = told(shop, "audience", "why", "beside", "user_id:ana")
    printed = typed(shop, "audience", "why", "beside", "user_id:ana").stdout

    assert found["leaves"][0]["people"] == [ids(shop)["cem"]]
    assert f"1 fits: {ids(shop)['cem']}" in found["leaves"][0]["value"]
    assert "2 members whom the purpose may use, 1 fits: Cem" in printed
    assert "Bo" not in printed
    with Workspace(shop) as ws:
        noted = {one.subject_ref for one in looks(ws) if one.route == "tillit audience why"}
    assert noted == {ids(shop)[who] for who in ("ana", "cem")}


def test_why_says_each_part_and_is_not_told_of_whom_the_purpose_may_not_use(applied: Path) -> None:
    found = told(applied, "audience", "why", "quiet", "user_id:ana")
    printed = typed(applied, "audience", "why", "regulars", "email:ana@example.org").stdout
    refused = typed(applied, "audience", "why", "regulars", "user_id:bo", code=4)
    unknown = typed(applied, "audience", "why", "regulars", "user_id:nobody", code=2)

    assert found["is_member"] is False
    assert {leaf["holds"] for leaf in found["leaves"]} == {True, False}
    assert "is in regulars since" in printed
    assert "newsletter" in refused.stderr
    assert "Nobody is known" in unknown.stderr
    assert "ana@" not in printed


def test_a_check_ends_well_and_with_1_on_a_difference(applied: Path) -> None:
    same = told(applied, "audience", "check", "regulars")
    with Workspace(applied) as ws, ws.memberships.store.transaction() as tx:
        tx.execute("DELETE FROM membership WHERE audience = 'regulars'")
    differs = told(applied, "audience", "check", "regulars", code=1)
    printed = typed(applied, "audience", "check", "regulars", code=1).stdout

    assert (same["only_live"], same["only_batch"], same["cases"]) == (0, 0, [])
    assert (differs["only_live"], differs["only_batch"]) == (0, 2)
    assert differs["cases"] == [ids(applied)["ana"]]
    assert differs["withheld"] == {"no_consent": 1}
    assert "2 are not and should be" in printed


def test_who_is_ranked_and_who_is_held_out_is_told_with_its_time(applied: Path) -> None:
    (applied / "audiences" / "e-best.yaml").write_text(
        "audience: best\npurpose: service\nafter: [callers]\nholdout: 0.5\n"
        "definition: {top: {by: {event: Order Completed, sum: total}, highest: 1}}\n",
        encoding="utf-8",
    )
    planned = typed(applied, "plan", str(applied / "audiences" / "e-best.yaml")).stdout
    told(applied, "apply", str(applied / "audiences" / "e-best.yaml"), "--yes")

    assert "Held out: 0 who would be in it are left alone." in planned
    assert told(applied, "audience", "holdout", "best") == {
        "audience": "best", "members": 0, "held_out": 0, "people": 0,
    }  # fmt: skip
    assert "0 are held out" in typed(applied, "audience", "holdout", "best").stdout.replace("\n", " ")
    assert "Nobody is held out of regulars" in typed(applied, "audience", "holdout", "regulars").stdout
    best = next(one for one in told(applied, "audience", "list")["audiences"] if one["audience"] == "best")
    assert best["as_of"].endswith("Z")
    assert "as of" in typed(applied, "audience", "count", "best").stdout
    assert told(applied, "audience", "check", "best")["is_stale"] is False
    assert "no place" in typed(applied, "audience", "why", "best", "user_id:ana").stdout
    named = told(applied, "audience", "preview", str(applied / "audiences" / "e-best.yaml"))
    assert named["people"] == 0


def test_features_are_listed_and_their_values_told(applied: Path) -> None:
    listed = told(applied, "feature", "list")["features"]
    spread = told(applied, "feature", "values", "spend")
    people = told(applied, "feature", "values", "spend", "--people")
    one = told(applied, "feature", "values", "spend", "--who", "user_id:ana")
    refused = typed(applied, "feature", "values", "spend", "--who", "user_id:bo", code=4)
    printed = typed(applied, "feature", "values", "spend").stdout

    known = ids(applied)
    assert [(one["feature"], one["state"]) for one in listed] == [("spend", "live")]
    assert (spread["n"], spread["missing"]) == (2, 0)
    assert people["values"] == [
        {"profile_id": known["ana"], "value": 30.0},
        {"profile_id": known["cem"], "value": 10.0},
    ]
    assert people["withheld"] == {"no_consent": 1}
    assert (one["feature"], one["profile_id"], one["value"]) == ("spend", known["ana"], 30.0)
    assert "newsletter" in refused.stderr
    assert "2 people have a value" in printed


@pytest.mark.parametrize(
    "words",
    [("audience", "members", "x"), ("audience", "count", "x"), ("audience", "check", "x"), ("feature", "values", "x")],
    ids=" ".join,
)
def test_what_is_not_in_force_is_said_to_be_so(applied: Path, words: tuple[str, ...]) -> None:
    done = typed(applied, *words, code=2)

    assert "There is no" in done.stderr
