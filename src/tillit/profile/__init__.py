"""What do we know? Traits with their sources, counts, first and last seen, timelines.

In:    sightings in log order; memberships and permits when someone asks.
Out:   strand, search_term; profile documents and timelines.
Never: values handed out without a permit; a value copied from one person to another.
"""

from tillit.profile.document import event_id, get_document
from tillit.profile.strands import StrandMemory, StrandWriter, search_strands
from tillit.profile.timeline import event_document
from tillit.store import migrations_of

MIGRATIONS = migrations_of("tillit.profile", room="profile")
# Each table with its key.
TABLES = {"strand": ("identifier_id", "part"), "search_term": ("term", "identifier_id", "part")}

__all__ = [
    "MIGRATIONS",
    "TABLES",
    "StrandMemory",
    "StrandWriter",
    "event_document",
    "event_id",
    "get_document",
    "search_strands",
]
