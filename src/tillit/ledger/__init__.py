"""Who received a person's values, and who looked at them? A ledger that shows when somebody changed it.

In:    disclosures and accesses.
Out:   ledger_entry, ledger_node, ledger_checkpoint (journal.db), keys (ledger-keys.db); proofs and signed checkpoints.
Never: a person's value in clear; an entry changed; an entry readable once its person was forgotten.
"""

from tillit.ledger.accesses import Accesses, AccessesBehind
from tillit.ledger.checking import Checked, Fault
from tillit.ledger.entries import ACCESS, DISCLOSURE, KINDS, UNKNOWN, Access, BadEntry, Disclosure, Entry, Recorded
from tillit.ledger.keys import KEYS_MIGRATIONS, LedgerKeys
from tillit.ledger.ledger import LEDGER_MIGRATIONS, Found, Ledger, Standing, UnknownEntry
from tillit.ledger.notes import Checkpoint, NoteInvalid, find_notes, open_checkpoint, read_verifier_key
from tillit.ledger.proofs import ProofInvalid, Proven, verify_consistency, verify_inclusion
from tillit.ledger.tree import LedgerDamaged

__all__ = [
    "ACCESS",
    "DISCLOSURE",
    "KEYS_MIGRATIONS",
    "KINDS",
    "LEDGER_MIGRATIONS",
    "UNKNOWN",
    "Access",
    "Accesses",
    "AccessesBehind",
    "BadEntry",
    "Checked",
    "Checkpoint",
    "Disclosure",
    "Entry",
    "Fault",
    "Found",
    "Ledger",
    "LedgerDamaged",
    "LedgerKeys",
    "NoteInvalid",
    "ProofInvalid",
    "Proven",
    "Recorded",
    "Standing",
    "UnknownEntry",
    "find_notes",
    "open_checkpoint",
    "read_verifier_key",
    "verify_consistency",
    "verify_inclusion",
]
