"""Identity acts: what colleagues decided about who is who, and what stands of it.

In:    events of type cut, pin, join and undo; rows of identity_act.
Out:   log rows; for two identifiers, whether their evidence counts and whether they may be together.
Never: an act that a source's key could send; an act that copies or moves anything. Whoever it touches is folded anew.

A *cut* withdraws all direct evidence between two identifiers, past and future. A *join* is evidence of its own, and
ends a cut for what comes after it. A *pin* holds two identifiers apart whatever the path. A *block* says that a value
stands for many: it joins nobody and nobody holds it, past and future, until it is *freed*; an *alarm* only tells so.
An *undo* makes another act (also an undo) as if it had never been.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from tillit.clock import rfc3339
from tillit.errors import InputError
from tillit.identity.namespaces import DEVICE_RANK, Handle, founded_at
from tillit.identity.rules import Rules
from tillit.records import IDENTITY_ACT_TYPES, KIND_EVENT, TRUST_OPERATOR, TRUST_VERIFIED, LogRow, NewRow, message_hash
from tillit.store import Reading, Writing

CUT, PIN, JOIN, UNDO, BLOCK, FREE = "cut", "pin", "join", "undo", "block", "free"
SOURCE = "identity"
LONGEST_REASON = 500

Pair = tuple[int, int]  # identifier ids, the smaller first

_COLUMNS = "position, kind, one_id, other_id, of_message, message_id, operator, reason, event_at"


class ReasonInvalid(InputError):
    """The reason of an identity act is missing, or cannot be kept as it is."""

    code = "identity.reason-invalid"

    def __init__(self, why: str) -> None:
        """Say what is wrong with it, never what it says."""
        super().__init__(f"The reason {why}", field="reason")


class IdentityAct(NamedTuple):
    """One act. Grain: one per event of a colleague."""

    position: int
    kind: str  # cut, pin, join, undo, block, free, alarm
    one_id: int
    other_id: int  # of a block, a free or an alarm: the same; of an undo: those of the act that it undoes
    of_message: str  # of an undo: the message id of what it undoes; else empty
    message_id: str
    operator: str
    reason: str
    event_at: int  # UTC epoch microseconds

    @property
    def pair(self) -> Pair:
        """Give the two identifiers it is about."""
        return pair_of(self.one_id, self.other_id)


class _Said(msgspec.Struct, gc=False):
    type: str
    messageId: str = ""
    operator: str = ""
    reason: str = ""
    of: str = ""
    identifiers: list[list[str]] = []


_decode = msgspec.json.Decoder(_Said).decode
_encode = msgspec.json.Encoder().encode


def kept_reason(reason: str) -> str:
    """Give a reason as it is kept. Raises ReasonInvalid when it cannot be."""
    reason = reason.strip()
    if len(reason) > LONGEST_REASON or "\0" in reason or any("\ud800" <= c <= "\udfff" for c in reason):
        raise ReasonInvalid(f"must have at most {LONGEST_REASON} whole characters and no NUL.")
    return reason


def pair_of(one_id: int, other_id: int) -> Pair:
    """Write a pair of identifiers so that their order does not count."""
    return (one_id, other_id) if one_id < other_id else (other_id, one_id)


def is_identity_act(row: LogRow) -> bool:
    """Say whether a row of the log is a colleague's act about who is who."""
    if row.trust != TRUST_OPERATOR or row.kind != KIND_EVENT or row.source != SOURCE:
        return False
    try:
        return _decode(row.body or b"{}").type in IDENTITY_ACT_TYPES
    except msgspec.MsgspecError:
        return False


def identity_act_row(
    kind: str,
    about: Sequence[Handle],
    *,
    of: str = "",
    operator: str,
    reason: str,
    message_id: str,
    now: int,
) -> NewRow:
    """Write an act about two identifiers (a block or a free: about one), or with `of`, a message id, an undo.

    Units:  now is UTC epoch microseconds.
    Raises: ReasonInvalid.
    """
    reason = kept_reason(reason)
    if kind in {CUT, BLOCK} and not reason:
        raise ReasonInvalid("is missing: whoever looks at this later wants to know why.")
    told: dict[str, Any] = {
        "type": kind,
        "identifiers": [[one.namespace, one.value] for one in about],
        "messageId": message_id,
        "operator": operator,
        "reason": reason,
        "timestamp": rfc3339(now),
        "receivedAt": rfc3339(now),
    }
    if of:
        told["of"] = of
    return NewRow(KIND_EVENT, SOURCE, TRUST_OPERATOR, now, now, message_hash(SOURCE, message_id), _encode(told))


def keep_act(tx: Writing, row: LogRow, rules: Rules) -> IdentityAct | None:
    """Write an act of the log into the state; None when nobody it names was known when it came."""
    said = _decode(row.body or b"{}")
    if said.type == UNDO:
        found = tx.read(f"SELECT {_COLUMNS} FROM identity_act WHERE message_id = ?", (said.of,))
        if not found or found[0][0] >= row.position:
            return None
        one_id, other_id = found[0][2:4]
    else:
        about = [rules.handle(told[0], told[1]) for told in said.identifiers if len(told) == 2]
        ids = [_known_id(tx, one, row.position) for one in about if one is not None and takes(said.type, one.rank)]
        about_one = said.type not in {CUT, PIN, JOIN}
        if about_one:
            ids *= 2
        if len(ids) != 2 or ids[0] is None or ids[1] is None or (ids[0] == ids[1]) != about_one:
            return None
        one_id, other_id = ids
    act = IdentityAct(
        row.position, said.type, one_id, other_id, said.of, said.messageId, said.operator, said.reason, row.event_at
    )
    tx.execute(f"INSERT INTO identity_act ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", act)
    return act


def takes(kind: str, rank: int) -> bool:
    """Say whether an act of this kind can be about an identifier: a device is held for a time, it is nobody."""
    return kind not in {PIN, JOIN} or rank < DEVICE_RANK


def _known_id(reading: Reading, written: Handle | None, position: int) -> int | None:
    if written is None:
        return None
    rows = reading.read("SELECT identifier_id FROM identifier WHERE namespace = ? AND value = ?", written.key)
    return int(rows[0][0]) if rows and founded_at(rows[0][0]) <= position else None


def load_acts(reading: Reading, ids: Sequence[int] | None = None) -> list[IdentityAct]:
    """Read acts in log order: all, or those about one of some identifiers."""
    if ids is None:
        return [IdentityAct(*row) for row in reading.read(f"SELECT {_COLUMNS} FROM identity_act ORDER BY position")]
    found = {
        IdentityAct(*row)
        for column in ("one_id", "other_id")
        for row in reading.read_in(f"SELECT {_COLUMNS} FROM identity_act WHERE {column} IN {{in}}", list(ids))
    }
    return sorted(found)


def standing(acts: Sequence[IdentityAct]) -> set[int]:
    """Give the positions of the acts that stand: those that no standing undo names."""
    undoing: dict[str, list[int]] = {}
    for act in acts:
        if act.kind == UNDO:
            undoing.setdefault(act.of_message, []).append(act.position)
    stand: set[int] = set()
    # An undo comes after what it undoes, so that newest first each is judged after all that could undo it.
    for act in sorted(acts, reverse=True):
        if not any(position in stand for position in undoing.get(act.message_id, ())):
            stand.add(act.position)
    return stand


class Acts:
    """What the acts that stand mean for evidence. In memory: as many as colleagues ever decided."""

    def __init__(self, acts: Sequence[IdentityAct], roots: dict[int, int] | None = None) -> None:
        """Take acts in log order; `roots` says whose the identifiers that pins name are now."""
        stand = standing(acts)
        self._cuts: dict[Pair, list[int]] = {}
        self._joins: dict[Pair, list[int]] = {}
        self._turns: dict[Pair, list[int]] = {}  # acts that open a new chapter for a pair's evidence
        self._joined_at: set[int] = set()
        self._pins: dict[int, set[int]] = {}  # root -> pins of which it holds one end
        self.blocked: set[int] = set()  # identifiers that stand for many
        known = roots or {}
        for act in acts:
            if act.kind in {CUT, JOIN}:
                self._turns.setdefault(act.pair, []).append(act.position)
            if act.position not in stand:
                continue
            if act.kind == CUT:
                self._cuts.setdefault(act.pair, []).append(act.position)
            elif act.kind == JOIN:
                self._joins.setdefault(act.pair, []).append(act.position)
                self._joined_at.add(act.position)
            elif act.kind == BLOCK:
                self.blocked.add(act.one_id)
            elif act.kind == FREE:
                self.blocked.discard(act.one_id)
            elif act.kind == PIN:
                for end in act.pair:
                    self._pins.setdefault(known.get(end, end), set()).add(act.position)

    @staticmethod
    def load(reading: Reading) -> "Acts":
        """Read all acts."""
        acts = load_acts(reading)
        ends = sorted({end for act in acts if act.kind == PIN for end in act.pair})
        roots = reading.read_in("SELECT identifier_id, root_id FROM identifier WHERE identifier_id IN {in}", ends)
        return Acts(acts, dict(roots))

    def names(self, one_id: int, other_id: int) -> bool:
        """Say whether colleagues ever cut or joined these two."""
        return bool(self._turns) and pair_of(one_id, other_id) in self._turns

    def chapter(self, one_id: int, other_id: int, position: int) -> int:
        """Give the position of the last cut or join before a place in the log (0: none): evidence is kept for each."""
        return max((turn for turn in self._turns.get(pair_of(one_id, other_id), ()) if turn < position), default=0)

    def withdraws(self, one_id: int, other_id: int, position: int, trust: int) -> bool:
        """Say whether a standing cut takes the evidence of an event between these two."""
        pair = pair_of(one_id, other_id)
        joins = self._joins.get(pair, ())
        return any(
            not ((trust >= TRUST_VERIFIED and position > cut) or any(cut < join <= position for join in joins))
            for cut in self._cuts.get(pair, ())
        )

    def stands_join(self, position: int) -> bool:
        """Say whether the join at this position stands."""
        return position in self._joined_at

    def hold_apart(self, one_root: int, other_root: int) -> bool:
        """Say whether a pin holds two people apart."""
        if not self._pins:
            return False
        mine, theirs = self._pins.get(one_root), self._pins.get(other_root)
        return mine is not None and theirs is not None and not mine.isdisjoint(theirs)

    def move(self, winner: int, loser: int) -> None:
        """Note that one person's identifiers went over to another's."""
        if self._pins and (moved := self._pins.pop(loser, None)):
            self._pins.setdefault(winner, set()).update(moved)


def name_acts(acts: Iterable[IdentityAct]) -> set[int]:
    """Give the identifiers that acts are about."""
    return {end for act in acts for end in act.pair}
