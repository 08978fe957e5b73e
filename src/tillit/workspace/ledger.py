"""The ledger of a workspace: its two files opened together, and whose entries are whose.

In:    a workspace's paths; a person.
Out:   the ledger; the profile ids under which a person was ever written about.
Never: an entry rewritten because people were joined or parted: reading follows them.
"""

import contextlib
from collections.abc import Callable, Iterator

from tillit.identity import profile_id
from tillit.ledger import Ledger, LedgerKeys
from tillit.records import Membership
from tillit.workspace.folder import Paths, open_journal


@contextlib.contextmanager
def open_ledger(paths: Paths, *, now: Callable[[], int]) -> Iterator[Ledger]:
    """Open the ledger alone, for whoever has no workspace open."""
    with (
        contextlib.closing(open_journal(paths)) as store,
        contextlib.closing(LedgerKeys.open(paths.ledger_keys, now=now)) as keys,
    ):
        yield Ledger(store, keys)


def subjects_of(membership: Membership) -> list[str]:
    """Give every profile id that a person's identifiers would have founded, so that no entry of theirs is missed.

    An entry names the profile of its moment, and any of their identifiers may have been the strongest then. A device
    was a profile of its own only before anybody held it: that time belongs to its first holder.
    """
    # Part 0 is the time of the first holder, and of whatever is no device.
    founders = (one for one in membership.identifiers if any(part == 0 for part, _, _ in one.spans))
    return list(dict.fromkeys((membership.profile_id, *(profile_id(one.identifier_id) for one in founders))))
