"""Rankings: when the members of audiences that rank everybody were chosen, and by which version.

In:    what was chosen at a tick.
Out:   rows of ranking, in the transaction of the memberships they led to.
Never: a member: who was chosen is who is a member.
"""

from typing import NamedTuple

from tillit.store import Reading, Writing


class Ranking(NamedTuple):
    """The newest snapshot of one audience. Grain: one per audience that ranks."""

    audience: str
    version: int  # position of the definition that decided it
    under: str  # what else decided: what it names, the purpose's lens, the purposes in force
    judged_at: int  # UTC epoch microseconds: the instant for which everybody was looked at
    epoch: int
    position: int  # of the log, up to which was known
    n_ranked: int  # people who had a place

    def next_tick(self, every: int) -> int:
        """Say when they are chosen anew: the first whole multiple of a span that is later."""
        return (self.judged_at // every + 1) * every


def read_rankings(reading: Reading) -> dict[str, Ranking]:
    """Give the newest snapshot of each audience that has one."""
    rows = reading.read("SELECT audience, version, under, judged_at, epoch, position, n_ranked FROM ranking")
    return {row[0]: Ranking(*row) for row in rows}


def write_ranking(tx: Writing, ranking: Ranking) -> None:
    """Note a snapshot, in the place of the one before."""
    tx.execute("DELETE FROM ranking WHERE audience = ?", (ranking.audience,))
    tx.execute(
        "INSERT INTO ranking (audience, version, under, judged_at, epoch, position, n_ranked) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        ranking,
    )


def drop_ranking(tx: Writing, audience: str) -> None:
    """Forget the snapshot of an audience that ranks nobody any more."""
    tx.execute("DELETE FROM ranking WHERE audience = ?", (audience,))
