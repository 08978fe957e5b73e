"""What do we know? Traits with their sources, counts, first and last seen, timelines.

In:    sightings in log order; memberships and permits when someone asks.
Out:   strand, search_term, operator_act; profile documents and timelines.
Never: values handed out without a permit; a value copied from one person to another.
"""

from tillit.profile.acts import (
    CORRECT,
    NOTE,
    RETRACT,
    Act,
    ActInvalid,
    Standing,
    act_row,
    correct_body,
    is_act,
    judge_acts,
    load_acts,
    note_body,
    retract_body,
)
from tillit.profile.document import (
    NOT_REACHED,
    Person,
    event_id,
    get_document,
    load_facts,
    load_person,
    load_traits,
    position_of,
    refused_document,
    strand_keys,
)
from tillit.profile.everybody import ToldTrait, corrections_of, iter_told, load_all_acts
from tillit.profile.history import Earlier, read_earlier
from tillit.profile.past import Told, past_document
from tillit.profile.search import Shown, answer, order_terms, read_question, search_strands, shown_by
from tillit.profile.strands import StrandMemory, StrandWriter
from tillit.profile.timeline import event_document, reaches, reduce_row
from tillit.store import migrations_of

MIGRATIONS = migrations_of("tillit.profile", room="profile")
# Each table with its key.
TABLES = {
    "strand": ("identifier_id", "part"),
    "search_term": ("term", "identifier_id", "part", "kind"),
    "operator_act": ("identifier_id", "part", "position"),
}

__all__ = [
    "CORRECT",
    "MIGRATIONS",
    "NOTE",
    "NOT_REACHED",
    "RETRACT",
    "TABLES",
    "Act",
    "ActInvalid",
    "Earlier",
    "Person",
    "Shown",
    "Standing",
    "StrandMemory",
    "StrandWriter",
    "Told",
    "ToldTrait",
    "act_row",
    "answer",
    "correct_body",
    "corrections_of",
    "event_document",
    "event_id",
    "get_document",
    "is_act",
    "iter_told",
    "judge_acts",
    "load_acts",
    "load_all_acts",
    "load_facts",
    "load_person",
    "load_traits",
    "note_body",
    "order_terms",
    "past_document",
    "position_of",
    "reaches",
    "read_earlier",
    "read_question",
    "reduce_row",
    "refused_document",
    "retract_body",
    "search_strands",
    "shown_by",
    "strand_keys",
]
