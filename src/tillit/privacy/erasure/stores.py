"""Every store of a workspace: whose values lie in it, and how one person is erased from it.

In:    nothing.
Out:   one row per kind of file, and per table of a file.
Never: a store that is not listed: a test holds every file, table and column that is written at run time against this.

An annotation of ownership for each table is the idea of K9db (OSDI 2023).
"""

from fnmatch import fnmatchcase
from typing import NamedTuple

PERSON, STAFF, SHOP, NOBODY = "person", "staff", "shop", "nobody"

# How a person is erased from a store.
HUSK = "their rows are replaced by husks"
REFOLD = "folded anew from the log without their events"
REWRITE = "files that hold their rows are written anew, old ones deleted"
DELETE_ROWS = "rows that name them are deleted"
EMPTIED = "what others wrote about them is emptied; ids and keyed hashes stay"
DELETE_FILES = "files that may name them are deleted"
KEYED = "holds keyed hashes alone"
IDS = "holds ids of ours that lead nowhere once they are erased"
WORDS = "words of colleagues about other people; named in the certificate when they name an erased identifier"
NOT_THEIRS = "holds nothing of customers"


class Store(NamedTuple):
    """One kind of place in which bytes are kept. Grain: one per file pattern and table."""

    file: str  # relative to the workspace; * stands for any name
    table: str  # empty: the file as a whole
    owner: str
    how: str
    personal: tuple[str, ...] = ()  # columns that may hold a person's values
    plain: tuple[str, ...] = ()  # the others

    @property
    def name(self) -> str:
        """Name it as findings and certificates do."""
        return f"{self.file}: {self.table}" if self.table else self.file


def _table(file: str, table: str, owner: str, how: str, personal: str, plain: str) -> Store:
    return Store(file, table, owner, how, tuple(personal.split()), tuple(plain.split()))


_LOG = "position logged_at kind source trust received_at event_at message_hash"
_OF_STRAND = "identifier_id part position event_at"

STORES: tuple[Store, ...] = (
    _table("log.db", "log", PERSON, HUSK, "body", _LOG),
    _table("log.db", "log_head", NOBODY, NOT_THEIRS, "", "one position logged_at epoch first_position"),
    _table("log.db", "husked", NOBODY, NOT_THEIRS, "", "position"),
    _table(
        "log.db",
        "quarantine",
        PERSON,
        DELETE_ROWS,
        "message_id raw",
        "quarantine_id received_at source trust code reason replayed_position",
    ),
    _table("state.db", "fold", NOBODY, NOT_THEIRS, "", "one position logged_at epoch version rules"),
    _table("state.db", "fate", NOBODY, NOT_THEIRS, "", "position fate code of_position"),
    _table("state.db", "seen_run", NOBODY, IDS, "", "first_position message_hashes positions"),
    _table("state.db", "seen_bucket", NOBODY, IDS, "", "bucket message_hashes positions"),
    _table("state.db", "seen_filter", NOBODY, IDS, "", "shelf upto_slice bits"),
    _table("state.db", "identifier", PERSON, REFOLD, "value birth", "identifier_id namespace rank root_id known since"),
    _table(
        "state.db",
        "link",
        PERSON,
        REFOLD,
        "reason",
        "strong_id weak_id trust chapter position event_at source rule verdict violation",
    ),
    _table("state.db", "tenure", PERSON, REFOLD, "", "identifier_id from_at from_position holder_id"),
    _table("state.db", "event_index", PERSON, REFOLD, "", "anchor_id event_at position"),
    _table("state.db", "token_use", PERSON, REFOLD, "token_hash", "position"),
    _table(
        "state.db",
        "identity_act",
        PERSON,
        REFOLD,
        "reason message_id of_message",
        "position kind one_id other_id operator event_at",
    ),
    _table("state.db", "identity_rules", STAFF, WORDS, "text reason", "position operator event_at"),
    _table("state.db", "strand", PERSON, REFOLD, "document", "identifier_id part"),
    _table("state.db", "search_term", PERSON, REFOLD, "term", "identifier_id part kind"),
    _table("state.db", "operator_act", PERSON, REFOLD, "document", _OF_STRAND),
    _table(
        "state.db",
        "group_member",
        PERSON,
        REFOLD,
        "group_key role",
        f"{_OF_STRAND} trust source is_member since_at until_at",
    ),
    _table(
        "state.db",
        "group_trait",
        PERSON,
        REFOLD,
        "group_key name value",
        f"{_OF_STRAND} trust source",
    ),
    _table("state.db", "consent_policy", STAFF, WORDS, "text reason", "position operator event_at"),
    _table("state.db", "consent_statement", PERSON, REFOLD, "document", "identifier_id part position"),
    _table("state.db", "consent_signal", PERSON, REFOLD, "name", f"{_OF_STRAND} said received_at trust"),
    _table("state.db", "delivery_definition", STAFF, WORDS, "text reason", "position kind name operator event_at"),
    _table("state.db", "outbox", NOBODY, IDS, "", "position work destination identifier_id message_hash"),
    _table("state.db", "audience_definition", STAFF, WORDS, "text reason", "position kind name operator event_at"),
    _table("state.db", "tape", PERSON, REFOLD, "document", "identifier_id part tape_id"),
    _table("state.db", "tape_standing", NOBODY, NOT_THEIRS, "", "tape_id through"),
    _table("state.db", "audience_touched", NOBODY, IDS, "", "identifier_id position"),
    _table("state.db", "permission", PERSON, REFOLD, "", "lane root_id from_at until_at"),
    _table("state.db", "permission_ground", PERSON, REFOLD, "", "identifier_id terms"),
    _table(
        "registry.db",
        "access_key",
        SHOP,
        NOT_THEIRS,
        "",
        "key_id key_hash kind source scopes purpose origins created_at revoked_at public_key",
    ),
    _table(
        "registry.db",
        "operator",
        STAFF,
        NOT_THEIRS,
        "",
        "operator_id login name role password_hash subject created_at disabled_at",
    ),
    _table(
        "registry.db",
        "console_session",
        STAFF,
        NOT_THEIRS,
        "",
        "session_hash session_id operator_id via created_at last_seen_at expires_at purpose",
    ),
    _table("registry.db", "sign_in_link", STAFF, NOT_THEIRS, "", "link_hash operator_id expires_at"),
    _table("registry.db", "sign_in_attempt", STAFF, NOT_THEIRS, "", "attempt_hash n_failed last_at open_at"),
    _table("registry.db", "known_device", STAFF, NOT_THEIRS, "", "device_hash operator_id seen_at"),
    _table("registry.db", "erasure_secret", SHOP, NOT_THEIRS, "", "name secret"),
    _table("registry.db", "delivery_secret", SHOP, NOT_THEIRS, "", "name host secret created_at by_whom"),
    _table("journal.db", "audit", NOBODY, IDS, "", "audit_id at operator_id action target outcome details"),
    # What a request and its steps say of a person are ids and codes of ours; words of colleagues go with the person.
    _table(
        "journal.db",
        "request",
        NOBODY,
        IDS,
        "",
        "request_id kind profile_id subject_token regime asked_by filed_level received_at",
    ),
    _table(
        "journal.db",
        "request_step",
        NOBODY,
        IDS,
        "",
        "step_id request_id at action state by_whom level via evidence code until_at original_id missing",
    ),
    _table("journal.db", "request_part", NOBODY, IDS, "", "try_id request_id part at outcome code n_rows"),
    _table("journal.db", "request_recipient", NOBODY, IDS, "", "answer_id request_id recipient at answer evidence"),
    _table("journal.db", "request_reason", PERSON, DELETE_ROWS, "reason_text", "step_id request_id"),
    _table(
        "journal.db",
        "break_glass",
        PERSON,
        DELETE_ROWS,
        "reason",
        "opening_id at until operator_id session_id profile_id person",
    ),
    _table("journal.db", "retention_mark", NOBODY, NOT_THEIRS, "", "policy span_us epoch position"),
    _table("journal.db", "retention_left", NOBODY, NOT_THEIRS, "", "position"),
    _table("journal.db", "retention_sweep", NOBODY, NOT_THEIRS, "", "policy swept_at n_events"),
    _table("deliveries.db", "taken", NOBODY, NOT_THEIRS, "", "one epoch position"),
    _table("deliveries.db", "followed", NOBODY, NOT_THEIRS, "", "one change_id"),
    # Keys, codes and ids of ours; what is sent is read again from log and state each time.
    _table(
        "deliveries.db",
        "delivery",
        NOBODY,
        IDS,
        "",
        "delivery_id delivery_key kind destination template purpose message_class position record_key subject_ref "
        "state code due_at lease_until fence courier n_attempts n_forgiven is_again is_told created_at ended_at",
    ),
    # The recipient's own words may repeat an address.
    _table(
        "deliveries.db",
        "attempt",
        PERSON,
        EMPTIED,
        "words reference",
        "delivery_id attempt fence begun_at ended_at what outcome code subject_ref field_names payload_hash basis "
        "record_position decided_at until_at address_hash is_again disclosure",
    ),
    _table(
        "deliveries.db",
        "record",
        NOBODY,
        IDS,
        "",
        "destination record_key kind subject_ref position payload_hash state code generation changed_at until_at",
    ),
    _table("deliveries.db", "touched", NOBODY, IDS, "", "identifier_id is_whole due_at"),
    _table(
        "deliveries.db",
        "destination_standing",
        NOBODY,
        NOT_THEIRS,
        "",
        "destination paused_at paused_by pause_code resting_until n_failed delivered_at failed_at fail_code",
    ),
    _table("deliveries.db", "walk", NOBODY, NOT_THEIRS, "", "one terms after_id begun_at ended_at"),
    # The keyed hash of an address outlives erasure: nothing is sent to it again by mistake.
    _table(
        "deliveries.db",
        "suppression",
        PERSON,
        EMPTIED,
        "words lifted_words",
        "suppression_id subject_kind subject_hash reason purpose source at by_whom subject_ref delivery_id lifted_at "
        "lifted_by",
    ),
    # Keyed hashes; that of what a message said goes with the person.
    _table(
        "deliveries.db",
        "message_request",
        PERSON,
        EMPTIED,
        "body_hash",
        "request_hash delivery_key template position asked_at",
    ),
    _table(
        "deliveries.db",
        "verification",
        NOBODY,
        IDS,
        "",
        "verification_id asked_by address_hash position n_tries created_at verified_at",
    ),
    _table("deliveries.db", "feedback", NOBODY, IDS, "", "feedback_hash delivery_id kind code at"),
    # Names of audiences and numbers of ours; of whom a change was is taken out.
    _table("audiences.db", "membership", NOBODY, IDS, "", "audience root_id since_at cause position"),
    _table(
        "audiences.db",
        "membership_change",
        NOBODY,
        IDS,
        "",
        "change_id audience version root_id kind at cause position since_at from_root",
    ),
    _table("audiences.db", "due", NOBODY, IDS, "", "root_id due_at"),
    _table("audiences.db", "audience_standing", NOBODY, NOT_THEIRS, "", "audience version judged_at n_members"),
    _table(
        "audiences.db",
        "ranking",
        NOBODY,
        NOT_THEIRS,
        "",
        "audience version under judged_at epoch position n_ranked",
    ),
    _table("audiences.db", "audience_day", NOBODY, NOT_THEIRS, "", "audience day n_members"),
    _table("audiences.db", "judged", NOBODY, NOT_THEIRS, "", "one epoch position at walk cause under"),
    # Sealed under a key of the person, which is destroyed.
    _table(
        "journal.db",
        "ledger_entry",
        NOBODY,
        KEYED,
        "",
        "entry_index at kind subject_token commitment leaf_hash sealed",
    ),
    _table("journal.db", "ledger_node", NOBODY, KEYED, "", "level node_index hash"),
    _table("journal.db", "ledger_checkpoint", NOBODY, NOT_THEIRS, "", "tree_size note made_at"),
    _table("ledger-keys.db", "ledger_secret", SHOP, NOT_THEIRS, "", "name secret"),
    _table("ledger-keys.db", "subject_key", NOBODY, DELETE_ROWS, "", "subject_hash subject_token key"),
    _table("ledger-keys.db", "shredded_subject", NOBODY, KEYED, "", "subject_hash shredded_at"),
    Store("ledger-checkpoints.txt", "", NOBODY, NOT_THEIRS),
    _table(
        "erasures.db",
        "erasure",
        NOBODY,
        KEYED,
        "",
        "erasure_id begun_at erased_at state epoch through position n_events rules",
    ),
    _table(
        "erasures.db", "tombstone", NOBODY, KEYED, "", "identifier_hash erasure_id erased_at open_at is_device state"
    ),
    _table("erasures.db", "tombstone_check", NOBODY, KEYED, "", "one check_hash"),
    _table("erasures.db", "erased_message", NOBODY, KEYED, "", "message_hash erasure_id"),
    *(
        _table(file, "migration", NOBODY, NOT_THEIRS, "", "room number checksum")
        for file in (
            "log.db",
            "state.db",
            "registry.db",
            "journal.db",
            "deliveries.db",
            "audiences.db",
            "erasures.db",
            "ledger-keys.db",
        )
    ),
    _table("log.db", "sqlite_sequence", NOBODY, NOT_THEIRS, "", "name seq"),
    Store("lake/events/*.parquet", "", PERSON, REWRITE),
    Store("lake/events/_delta_log/*", "", NOBODY, NOT_THEIRS),
    Store("lake/shared/*", "", PERSON, REWRITE),
    Store("rejects/*.jsonl", "", PERSON, DELETE_ROWS),
    Store("uploads/*", "", PERSON, DELETE_FILES),
    Store("exports/*", "", PERSON, DELETE_FILES),
    Store("run/plans/*", "", PERSON, DELETE_FILES),
    Store("run/plan-*", "", PERSON, DELETE_FILES),
    Store("run/check-*", "", PERSON, DELETE_FILES),
    Store("run/changeover/*", "", PERSON, DELETE_FILES),
    Store("run/history/*", "", NOBODY, IDS),
    Store("run/imports/*", "", NOBODY, NOT_THEIRS),
    Store("run/*.lock", "", NOBODY, NOT_THEIRS),
    Store("run/serve.url", "", NOBODY, NOT_THEIRS),
    Store("erasures/*.json", "", NOBODY, KEYED),
    Store("tillit.toml", "", SHOP, NOT_THEIRS),
)


def find_store(file: str, table: str = "") -> Store | None:
    """Give what is declared of a file, relative to the workspace, or of a table in one; None: nothing is."""
    for end in ("-wal", "-shm"):
        file = file.removesuffix(end)
    for store in STORES:
        if store.table == table and fnmatchcase(file, store.file):
            return store
    return None


def find_database(file: str) -> bool:
    """Say whether a file is one of the databases whose tables are declared."""
    for end in ("-wal", "-shm"):
        file = file.removesuffix(end)
    return any(store.table and store.file == file for store in STORES)
