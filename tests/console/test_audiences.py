"""Audiences and features in the console: lists, pages, why, the builder, what comes before a definition is in force."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.desk_in_process import DeskInProcess
from tests.looks import looks
from tests.running import Answer
from tillit.audience import definition_row
from tillit.clock import DAY, rfc3339
from tillit.consent import Choice
from tillit.console.drafts import ROOT, ROWS, draft_of, fields_of, tidy
from tillit.language.reading import read_condition

PURPOSES = """
recipients: {crm: {name: Our CRM, role: processor, country: SE}}
purposes:
  service: {title: Service, basis: contract, fields: all, recipients: [crm]}
  letters: {title: Letters, basis: consent, fields: [events, traits.firstName]}
  books: {title: Books, basis: legal_obligation, fields: [events]}
"""
REGULARS = """\
audience: regulars
title: Lapsing regulars
purpose: service
definition:
  all:
  - {event: Order Completed, where: {total: {greater: 50}}, within: 90d, count: {at_least: 2}}
  - {event: Order Completed, within: 30d, count: {equals: 0}}
"""
BUYERS = """\
audience: buyers
title: Buyers
purpose: letters
definition: {event: Order Completed}
"""
CRM = """\
destination: crm
kind: webhook
purpose: service
send: people
audience: regulars
to: {url: "https://hooks.example.com/people"}
fields: {id: profile.id}
"""
BESIDE_BUYERS = """\
audience: beside-buyers
title: Beside buyers
purpose: letters
definition: {group: {kind: household, member: {event: Order Completed}, others_only: true}}
"""
SPENT = """\
feature: spent
title: Spent in a year
purpose: service
definition: {event: Order Completed, within: 1y, sum: total}
"""


class Shop(DeskInProcess):
    """Ana and Bo bought twice two months ago, Cem yesterday, Dina never."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ws.consent.apply(PURPOSES, operator="kim", reason="")
        for name in ("ana", "bo", "cem", "dina"):
            self.ws.identify(user_id=name, traits={"firstName": name.title(), "plan": "pro"})
        for name, days in (("ana", 60), ("ana", 50), ("bo", 60), ("bo", 41), ("cem", 1)):
            self.buys(name, days)
        self.ws.flush()

    def buys(self, name: str, days_ago: int, total: float = 70.0) -> None:
        at = rfc3339(self.clock.at - days_ago * DAY)
        self.ws.track(event="Order Completed", properties={"total": total}, user_id=name, timestamp=at)

    def apply(self, *texts: str) -> None:
        for text in texts:
            self.ws.audiences.apply(text, reason="because", operator="kim")

    def id_of(self, name: str) -> str:
        membership = self.ws.profiles.membership(f"user_id:{name}")
        assert membership is not None
        return membership.profile_id

    def act_for(self, purpose: str) -> None:
        self.post("/console/me/purpose", {"purpose": purpose})

    def part(self, path: str, fields: dict[str, str]) -> str:
        answer = self.post(path, fields, **{"x-part": "1"})
        assert answer.status == 200, answer.body
        return told(answer)


def told(answer: Answer) -> str:
    return html.unescape(answer.body.decode())


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    sitting = Shop(tmp_path / "shop")
    yield sitting
    sitting.close()


def rows_of(definition: object) -> dict[str, str]:
    """Give the fields of the builder's form for a definition."""
    return fields_of(tidy(draft_of(read_condition(definition))))


# -- the list


def test_an_empty_list_leads_to_the_builder_with_something_to_begin_from(shop: Shop) -> None:
    page = told(shop.get("/console/audiences"))
    begun = re.findall(r'href="(/console/audiences/new\?example=[^"]+)"', page)
    first = told(shop.get(begun[0]))

    assert len(begun) == 3
    assert all(shop.get(one).status == 200 for one in begun)
    assert 'value="Order Completed"' in first
    assert "Order Completed happened at least 2 times in the last 90 days" in first


def test_a_reader_sees_the_list_and_no_way_to_change_it(shop: Shop) -> None:
    shop.apply(REGULARS)
    shop.become("reader")

    page = told(shop.get("/console/audiences"))
    one = told(shop.get("/console/audiences/regulars"))

    assert "Lapsing regulars" in page
    assert "/console/audiences/new" not in page
    assert "/edit" not in one
    for path in ("new", "regulars/edit", "regulars/send"):
        assert shop.get(f"/console/audiences/{path}").status == 403, path
    for path in ("build", "preview", "preview/rest", "plan", "apply", "regulars/send/plan"):
        assert shop.post(f"/console/audiences/{path}").status == 403, path


def test_the_list_says_of_each_what_it_is_how_many_and_how_it_stands(shop: Shop) -> None:
    shop.apply(REGULARS, SPENT)

    page = words(told(shop.get("/console/audiences")))
    features = words(told(shop.get("/console/features")))

    assert "Lapsing regulars live Order Completed with total over 50 happened at least 2 times in the last 90" in page
    assert "2 people +2 since yesterday" in page
    assert "For Service" in page
    assert "Spent in a year" in features
    assert "used by none yet" in features


def test_an_audience_that_cannot_be_answered_says_why_and_can_be_changed(shop: Shop) -> None:
    shop.apply(SPENT)
    shop.apply("audience: rich\npurpose: service\ndefinition: {feature: spent, greater: 100}\n")
    row = shop.ws.audiences.history("feature", "spent")[0]
    retired = SPENT + "retired: true\n"
    # As an older version of the rules let it through.
    shop.ws.append_rows(
        [definition_row("feature", "spent", retired, operator="kim", reason="", message_id="x", now=row.event_at)]
    )
    shop.ws.flush()

    page = words(told(shop.get("/console/audiences/rich")))

    assert "broken" in words(told(shop.get("/console/audiences")))
    assert "It cannot be answered" in page
    assert shop.get("/console/audiences/rich/edit").status == 200


# -- one audience


def test_a_member_is_shown_with_since_when_and_why_and_is_noted(shop: Shop) -> None:
    shop.apply(REGULARS)

    page = told(shop.get("/console/audiences/regulars"))

    assert set(re.findall(r"/console/audiences/regulars/why/(\w+)", page)) == {shop.id_of("ana"), shop.id_of("bo")}
    assert "by a new definition" in page
    assert "Came in" not in words(page)
    assert "Ana came in" in words(page)
    noted = {look.subject_ref for look in looks(shop.ws) if look.route == "/console/audiences/{name}"}
    assert noted == {shop.id_of("ana"), shop.id_of("bo")}


def test_who_of_a_household_fits_is_called_by_name_and_noted(shop: Shop) -> None:
    shop.ws.consent.apply(PURPOSES.replace("fields: [events,", "fields: [events, groups,"), operator="kim", reason="")
    shop.ws.identify(user_id="eve")  # nobody knows what she is called, and the purpose may not see her user id
    shop.buys("eve", 3)
    for name in ("ana", "bo", "cem", "eve"):
        shop.ws.group(group_id="h1", traits={"kind": "household"}, user_id=name)
    shop.clock.at += 1_000_000
    for name in ("ana", "bo", "eve"):  # Cem said nothing
        shop.ws.consent.set(f"user_id:{name}", [Choice("letters", "given")], evidence="form-1")
    shop.apply(BESIDE_BUYERS)
    shop.act_for("letters")

    page = words(told(shop.get(f"/console/audiences/beside-buyers/why/{shop.id_of('ana')}")))

    assert "3 members whom the purpose may use, 2 fit: Bo, " + shop.id_of("eve") in page
    assert shop.id_of("bo") not in page
    assert "Cem" not in page
    assert shop.id_of("cem") not in page
    noted = {look.subject_ref for look in looks(shop.ws) if look.route.startswith("/console/audiences/{name}/why")}
    assert noted == {shop.id_of(name) for name in ("ana", "bo", "eve")}


def test_whom_the_purpose_may_not_use_is_counted_with_the_reason_and_not_shown(shop: Shop) -> None:
    shop.clock.at += 1_000_000
    shop.ws.consent.set("user_id:ana", [Choice("letters", "given")], evidence="form-1")
    shop.apply(BUYERS)
    shop.act_for("letters")

    page = told(shop.get("/console/audiences/buyers"))

    assert "2 people may not be used for it Nobody said yes" in words(page)
    assert shop.id_of("ana") in page
    assert shop.id_of("bo") not in page
    assert " Bo " not in words(page)


def test_members_are_shown_only_while_the_desk_acts_for_the_audience_s_purpose(shop: Shop) -> None:
    shop.apply(REGULARS)
    shop.act_for("letters")

    page = told(shop.get("/console/audiences/regulars"))
    why = told(shop.get(f"/console/audiences/regulars/why/{shop.id_of('ana')}"))

    assert "Act for Service" in page
    assert "Act for Service" in why
    assert shop.id_of("ana") not in page
    assert "Ana" not in words(page + why)
    assert looks(shop.ws) == []


def test_a_role_that_may_not_act_for_the_purpose_sees_the_size_alone(shop: Shop) -> None:
    shop.apply(BUYERS.replace("letters", "books"))
    shop.become("editor")

    page = words(told(shop.get("/console/audiences/buyers")))
    counted = words(shop.part("/console/audiences/preview", {"kind": "audience", "purpose": "books",
                                                             **rows_of({"event": "Order Completed"})}))  # fmt: skip

    assert "3 people" in page
    assert "Your role may not act for it" in page
    assert "Your role may not act for this purpose" in counted
    assert "3 people" not in counted


def test_an_unknown_audience_feature_or_person_is_said_to_be_unknown(shop: Shop) -> None:
    shop.apply(REGULARS)

    for path in ("audiences/nobody", "audiences/nobody/edit", "features/nothing", "features/nothing/edit",
                 "audiences/regulars/why/user_id:ana", "audiences/nobody/why/x"):  # fmt: skip
        assert shop.get(f"/console/{path}").status == 404, path


def test_how_an_audience_overlaps_with_others_is_told_in_numbers(shop: Shop) -> None:
    shop.apply(REGULARS, BUYERS)

    page = words(told(shop.get("/console/audiences/regulars?overlap=yes")))

    assert "Buyers 2 in both · 0 here alone · 1 there alone" in page


def test_where_it_is_used_names_audiences_and_destinations(shop: Shop) -> None:
    shop.apply(REGULARS, "audience: kept\npurpose: service\ndefinition: {not: {audience: regulars}}\n")
    shop.ws.deliveries.apply(CRM, reason="", operator="kim")

    page = told(shop.get("/console/audiences/regulars"))

    assert '<a href="/console/audiences/kept">' in page
    assert '<a href="/console/destinations/crm">' in page


# -- why


def test_why_tells_each_condition_with_its_value_and_the_events_that_decide(shop: Shop) -> None:
    shop.apply(REGULARS)

    member = told(shop.get(f"/console/audiences/regulars/why/{shop.id_of('ana')}"))
    other = told(shop.get(f"/console/audiences/regulars/why/{shop.id_of('cem')}"))

    assert "Ana is in Lapsing regulars" in words(member)
    assert "Cem is not in Lapsing regulars" in words(other)
    events = re.findall(r'href="(/console/events/[^"]+)"', member)
    assert events
    assert all(shop.get(one).status == 200 for one in events)
    assert shop.id_of("ana") in {look.subject_ref for look in looks(shop.ws)}


def test_why_is_closed_where_the_purpose_may_not_use_the_person(shop: Shop) -> None:
    shop.apply(BUYERS)
    shop.act_for("letters")

    answer = shop.get(f"/console/audiences/buyers/why/{shop.id_of('ana')}")

    assert answer.status == 403
    assert "Nobody said yes" in told(answer)
    assert "Ana" not in words(told(answer))


def test_a_customer_s_page_tells_their_audiences_and_the_others_when_asked(shop: Shop) -> None:
    shop.apply(REGULARS, BUYERS, "audience: idle\npurpose: service\ndefinition: {not: {event: '*', within: 5d}}\n")
    path = f"/console/customers/{shop.id_of('ana')}"

    page = told(shop.get(path))
    whole = told(shop.get(f"{path}?audiences=all"))

    def card(html: str) -> str:
        return words(html[html.index('id="audiences"') : html.index('id="may"')])

    assert "Lapsing regulars Why in Lapsing regulars since" in card(page)
    assert "1 audience is for other purposes" in card(page)
    assert "Not in" not in card(page)
    assert "Why not" in card(whole) or "idle" in card(page)
    assert "Buyers" not in card(whole)


# -- the builder


def test_every_kind_of_condition_can_be_reached_and_says_what_it_lacks(shop: Shop) -> None:
    rows = {"kind": "audience", "view": "rows"}
    added = shop.part("/console/audiences/build", {**rows, "act": "add-row d.rows"})
    kinds = [one for one in ROWS if one != "group"]

    parts = {
        kind: shop.part("/console/audiences/build", {**rows, "act": "show", "d.rows.0.kind": kind}) for kind in kinds
    }

    assert [kind for kind in kinds if f'<option value="{kind}"' not in added] == []
    said = {kind: re.search(r'id="fault-d\.rows\.0"(?: hidden)?>([^<]*)<', part) for kind, part in parts.items()}
    assert [kind for kind, found in said.items() if found is None or not found[1]] == ["in_group", "everybody"]
    # A control without a name of its own could not be used by everybody.
    controls = [one for part in parts.values() for one in re.findall(r"<(?:select|input) [^>]*>", part)]
    assert [one for one in controls if 'type="hidden"' not in one and "aria-label=" not in one] == []


def test_rows_are_moved_grouped_and_taken_away_and_say_what_they_mean(shop: Shop) -> None:
    fields = {"kind": "audience", "view": "rows", **rows_of({"all": ["everybody", {"audience": "a"}]})}

    moved = shop.part("/console/audiences/build", {**fields, "act": "up d.rows.1"})
    grouped = shop.part("/console/audiences/build", {**fields, "act": "wrap d.rows.0"})
    fewer = shop.part("/console/audiences/build", {**fields, "act": "remove d.rows.0"})

    assert moved.index("In the audience a") < moved.index("Everybody</p>")
    assert 'name="d.rows.0.rows.0.kind"' in grouped
    assert "Everybody</p>" not in fewer


def test_how_many_and_who_is_left_out_is_built_in_words_and_shown_with_its_time(shop: Shop) -> None:
    shop.apply(REGULARS)
    definition = {"top": {"of": {"event": "Order Completed"}, "by": {"event": "Order Completed", "sum": "total"},
                          "highest": 2, "every": "1w"}}  # fmt: skip
    fields = {"kind": "audience", "view": "rows", "title": "Best", "name": "best", "purpose": "service",
              **rows_of(definition), "after.regulars": "on", "holdout": "10"}  # fmt: skip

    built = shop.part("/console/audiences/build", {**fields, "act": "show"})
    counted = words(shop.part("/console/audiences/preview", fields))
    rest = words(shop.part("/console/audiences/preview/rest", fields))
    planned = told(shop.post("/console/audiences/plan", fields))
    text = re.search(r'name="text"[^>]*>([^<]*)<', planned) or re.search(r'name="text" value="([^"]*)"', planned)

    assert re.search(r'name="after.regulars"[^>]* checked', built)
    assert 'value="highest" selected' in built
    assert 'name="d.rank.by.tests' not in built
    assert "place" not in counted
    assert re.search(r"\b1\b", counted)
    assert "he 2 people with the highest value" in planned
    assert "Held out" in planned
    assert "The last 90 days" in rest
    assert text is not None
    assert "after:\n- regulars" in text[1]
    assert "holdout: 10%" in text[1]
    shop.apply(text[1].strip() + "\n")
    page = words(told(shop.get("/console/audiences/best?held=yes")))
    assert "As of" in page
    assert "ranked anew every 7 days" in page
    assert "Held out to measure what is sent" in page
    then = words(told(shop.get(f"/console/audiences/best?on={rfc3339(shop.ws.now())[:10]}")))
    assert "Everybody is ranked at ticks: it is the last one by then." in then
    assert "Send it somewhere" in then
    assert "Send Best somewhere" in words(told(shop.get("/console/audiences/best/send")))
    again = told(shop.get("/console/audiences/best/edit"))
    assert re.search(r'name="after.regulars"[^>]* checked', again)
    assert 'name="holdout" value="10%"' in again
    why = words(told(shop.get(f"/console/audiences/best/why/{shop.id_of('cem')}")))
    assert "place 1 of 1 with 70" in why


def test_the_count_says_how_many_who_may_be_used_and_what_is_near(shop: Shop) -> None:
    shop.apply(REGULARS)
    definition = {
        "all": [
            {
                "event": "Order Completed",
                "where": {"total": {"greater": 50}},
                "within": "90d",
                "count": {"at_least": 2},
            },
            {"event": "Order Completed", "within": "30d", "count": {"equals": 0}},
        ]
    }

    fields = {"kind": "audience", "purpose": "service", **rows_of(definition)}
    part = shop.part("/console/audiences/preview", fields)
    rest = shop.part("/console/audiences/preview/rest", fields)

    assert "2 people of 4, 50.0 %" in words(part)
    assert "Nearly the same as Lapsing regulars 100 %" in words(rest)
    assert "The last 90 days" in words(rest)
    assert {"Ana", "Bo"} <= set(words(part).split())
    assert len([one for one in looks(shop.ws) if one.route == "/console/audiences/preview"]) == 2


def test_what_is_missing_is_said_at_its_row_and_nothing_is_counted(shop: Shop) -> None:
    fields = {**rows_of({"all": ["everybody", {"event": "A", "within": "30d"}]}), f"{ROOT}.rows.1.window.span.n": ""}

    part = shop.part("/console/audiences/preview", {"kind": "audience", "purpose": "service", **fields})
    tried = shop.post("/console/audiences/plan", {"kind": "audience", "purpose": "service", "title": "X", **fields})

    assert '<li data-row="d.rows.1">“within” wants a span of time' in part
    assert "live-count" not in part
    assert tried.status == 400
    assert "Something is missing yet" in told(tried)


def test_what_another_audience_lacks_and_what_the_purpose_does_not_reach_is_said(shop: Shop) -> None:
    cases = (({"audience": "nobody"}, "nobody"), ({"trait": "plan", "equals": "x"}, "does not reach traits.plan"))
    for definition, why in cases:
        part = shop.part(
            "/console/audiences/preview", {"kind": "audience", "purpose": "letters", **rows_of(definition)}
        )
        assert why in words(part)


def test_rows_become_text_and_text_becomes_rows(shop: Shop) -> None:
    fields = {"kind": "audience", "view": "rows", "title": "Köpte", "purpose": "service", **rows_of({"event": "A"})}

    page = told(shop.post("/console/audiences/build", {**fields, "act": "text"}))
    text = re.search(r'<textarea class="code-box"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    assert text is not None
    back = told(
        shop.post("/console/audiences/build", {"kind": "audience", "view": "text", "text": text[1], "act": "rows"})
    )
    wrong = shop.post(
        "/console/audiences/build",
        {"kind": "audience", "view": "text", "text": "definition: {evnt: A}", "act": "rows"},
    )

    assert "audience: kopte\ntitle: Köpte\npurpose: service\ndefinition:\n  event: A\n" in text[1]
    assert 'name="d.rows.0.names" value="A"' in back
    assert wrong.status == 400
    assert "'evnt' is not known here. Did you mean 'event'?" in told(wrong)


def test_names_to_choose_from_are_those_that_several_people_s_events_carry(shop: Shop) -> None:
    shop.ws.track(event="Secret Visit of Dina", properties={"what": 1}, user_id="dina")
    shop.ws.flush()

    page = told(shop.get("/console/audiences/new"))

    assert '<option value="Order Completed">' in page
    assert '<option value="total">' in page
    assert '<option value="firstName">' in page
    assert "Secret Visit" not in page


def try_it(shop: Shop, fields: dict[str, str]) -> tuple[Answer, dict[str, str]]:
    """Try a definition; give the page, and the fields of the form that puts it in force."""
    answer = shop.post("/console/audiences/plan", fields)
    page = told(answer)
    form = (
        page[page.index('action="/console/audiences/apply"') :].partition("</form>")[0]
        if "apply-reason" in page
        else ""
    )
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
    text = re.search(r'<textarea name="text" hidden>\n(.*?)</textarea>', form, re.DOTALL)
    hidden.pop("form_token", None)
    return answer, {**hidden, "text": text[1] if text else ""}


def test_what_is_built_is_tried_with_who_would_come_and_go_and_then_put_in_force(shop: Shop) -> None:
    fields = {"kind": "audience", "view": "rows", "title": "Buyers", "purpose": "service",
              **rows_of({"event": "Order Completed"})}  # fmt: skip

    answer, form = try_it(shop, fields)
    is_there_before = "buyers" in shop.ws.audiences.definitions().audiences
    done = shop.post("/console/audiences/apply", {**form, "reason": "the letter"})

    assert "Would come in 3" in words(told(answer))
    assert "Ana would come in" in words(told(answer))
    assert not is_there_before
    assert done.headers["location"] == "/console/audiences/buyers?told=applied"
    assert "Admin : the letter" in words(told(shop.get("/console/audiences/buyers")))
    assert {"audience.plan", "audience.apply"} <= set(shop.ws.audit.list_actions())


def test_an_edit_says_what_differs_in_sentences_and_any_version_can_come_back(shop: Shop) -> None:
    shop.apply(REGULARS)
    shop.apply(REGULARS.replace("90d", "60d"))
    page = told(shop.get("/console/audiences/regulars"))
    back = page[page.index("Go back to this version") - 1_500 :]
    text = re.search(r'<textarea name="text" hidden>\n(.*?)</textarea>', back, re.DOTALL)
    assert text is not None

    answer, form = try_it(shop, {"kind": "audience", "editing": "regulars", "view": "text", "text": text[1]})
    done = shop.post("/console/audiences/apply", {**form, "reason": "as it was"})

    twice = "Order Completed with total over 50 happened at least 2 times in the last"
    assert f"changed: {twice} 90 days → {twice} 60 days" in words(page)
    assert f"changed: {twice} 60 days → {twice} 90 days" in words(told(answer))
    assert done.status == 303
    assert shop.ws.audiences.history("audience", "regulars")[0].text == REGULARS


def test_an_audience_is_retired_and_can_be_used_again(shop: Shop) -> None:
    shop.apply(REGULARS)
    page = told(shop.get("/console/audiences/regulars"))
    text = re.search(
        r"<textarea name=\"text\" hidden>\n(audience: regulars.*?retired: true\n)</textarea>", page, re.DOTALL
    )
    assert text is not None

    answer, form = try_it(shop, {"kind": "audience", "editing": "regulars", "view": "text", "text": text[1]})
    done = shop.post("/console/audiences/apply", {**form, "reason": "nobody asks any more"})
    listed = told(shop.get("/console/audiences"))

    assert "retired: nobody is in it any more" in words(told(answer))
    assert "Would leave 2" in words(told(answer))
    assert done.headers["location"] == "/console/audiences?told=applied"
    assert 'href="/console/audiences/regulars/edit"' in listed
    assert shop.get("/console/audiences/regulars").status == 404
    assert "Lapsing regulars" in told(shop.get("/console/audiences/regulars/edit"))


def test_a_definition_is_not_put_in_force_over_one_that_came_meanwhile(shop: Shop) -> None:
    shop.apply(REGULARS)
    _, form = try_it(
        shop, {"kind": "audience", "editing": "regulars", "view": "text", "text": REGULARS.replace("90d", "60d")}
    )
    shop.apply(REGULARS.replace("90d", "70d"))

    late = shop.post("/console/audiences/apply", {**form, "reason": "x"})

    assert late.status == 409
    assert "70d" in shop.ws.audiences.history("audience", "regulars")[0].text


def test_a_new_audience_does_not_take_the_place_of_another(shop: Shop) -> None:
    shop.apply(REGULARS)
    fields = {"kind": "audience", "view": "rows", "purpose": "service", **rows_of("everybody")}

    same = shop.post("/console/audiences/plan", {**fields, "name": "regulars"})
    none = shop.post("/console/audiences/plan", fields)
    taken = shop.post("/console/audiences/plan", {**fields, "title": "New"})

    assert [one.status for one in (same, none, taken)] == [400, 400, 400]
    assert "There is an audience of that name" in told(same)
    assert "Give it a title" in told(none)


def test_nothing_is_put_in_force_without_a_reason(shop: Shop) -> None:
    _, form = try_it(shop, {"kind": "audience", "editing": "", "view": "text", "text": REGULARS})

    answer = shop.post("/console/audiences/apply", {**form, "reason": " "})

    assert answer.status == 400
    assert shop.ws.audiences.definitions().audiences == {}


# -- features


def test_a_feature_is_built_from_a_value_and_shown_with_how_it_is_spread(shop: Shop) -> None:
    fields = {
        "kind": "feature", "view": "rows", "title": "Spent", "purpose": "service", "d.rows.0.kind": "event",
        "d.rows.0.what": "event", "d.rows.0.names": "Order Completed", "d.rows.0.made": "sum", "d.rows.0.of": "total",
        "d.rows.0.window.when": "ever",
    }  # fmt: skip

    _, form = try_it(shop, fields)
    done = shop.post("/console/audiences/apply", {**form, "reason": "to choose by"})
    page = words(told(shop.get("/console/features/spent")))

    assert done.headers["location"] == "/console/features/spent?told=applied"
    assert "The sum of total of Order Completed" in page
    assert "Of 4 people" in page


def test_one_person_s_value_is_told_to_whoever_acts_for_the_purpose_and_noted(shop: Shop) -> None:
    shop.apply(SPENT)

    answer = shop.post("/console/features/spent/value", {"who": "user_id:ana"})
    noted = [one.subject_ref for one in looks(shop.ws)]
    shop.act_for("letters")
    closed = shop.post("/console/features/spent/value", {"who": "user_id:ana"})

    assert "Of Ana it is 140" in words(told(answer))
    assert noted == [shop.id_of("ana")]
    assert closed.status == 403
    assert "140" not in words(told(closed))


def test_a_text_that_few_people_have_is_not_among_the_bars(shop: Shop) -> None:
    shop.apply("feature: called\npurpose: service\ndefinition: {trait: firstName}\n")
    shop.apply("feature: plan\npurpose: service\ndefinition: {trait: plan}\n")

    called = words(told(shop.get("/console/features/called")))
    plan = words(told(shop.get("/console/features/plan")))

    assert "Ana" not in called
    assert "4 have a value that fewer than three share" in called
    assert "pro 4" in plan


# -- sending it somewhere


SENT = {"way": "table", "place": "/srv/crm/people.db", "table": "regulars", "recipient": "crm", "title": "Letters",
        "field.traits.firstName": "yes"}  # fmt: skip


def test_what_a_form_asks_comes_to_a_destination_with_its_plan(shop: Shop) -> None:
    shop.apply(REGULARS)

    page = told(shop.post("/console/audiences/regulars/send/plan", SENT))
    by_webhook = {**SENT, "way": "webhook", "table": "", "place": "https://crm.example.com/people"}
    hook = told(shop.post("/console/audiences/regulars/send/plan", by_webhook))

    text = re.search(r'<textarea name="text" hidden>\n(.*?)</textarea>', page, re.DOTALL)
    assert text is not None
    assert text[1] == (
        "destination: regulars-table\ntitle: Letters\nkind: table\npurpose: service\nrecipient: crm\nsend: people\n"
        "audience: regulars\nfields:\n  firstName: traits.firstName\nto:\n  url: /srv/crm/people.db\n"
        "  table: regulars\n"
    )
    assert "2 would be there" in words(page)
    assert "kind: webhook" in hook
    assert "to:\n  url: https://crm.example.com/people\n" in hook


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"place": " "}, "Say where it goes"),
        ({"place": "crm.db"}, "absolute path of an SQLite file"),
        ({"recipient": ""}, "Say who receives it"),
        ({"recipient": "nobody"}, "does not declare the recipient"),
        ({"table": ""}, "Say what the table is called"),
        ({"field.traits.firstName": None}, "Tick at least one thing"),
        ({"field.traits.firstName": None, "field.traits.secret": "yes"}, "Tick at least one thing"),
        ({"way": "webhook", "place": "https://127.0.0.1/x"}, "is not on the public internet"),
    ],
)
def test_a_form_that_cannot_be_sent_says_why_and_keeps_what_was_chosen(
    shop: Shop, wrong: dict[str, str | None], why: str
) -> None:
    shop.apply(REGULARS)
    fields = {name: value for name, value in {**SENT, **wrong}.items() if value is not None}

    answer = shop.post("/console/audiences/regulars/send/plan", fields)

    assert answer.status in (400, 403)
    assert why in words(told(answer))
    assert 'value="Letters"' in told(answer)


@pytest.mark.parametrize(("on", "why"), [("2999-01-01", "has not come yet"), ("x", "That is no day")])
def test_a_day_that_cannot_be_asked_for_says_why(shop: Shop, on: str, why: str) -> None:
    shop.apply(REGULARS)

    answer = shop.get(f"/console/audiences/regulars?on={on}")

    assert answer.status == 400
    assert why in told(answer)
