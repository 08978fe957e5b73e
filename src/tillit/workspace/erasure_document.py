"""The document of an erasure: what its certificate says, before it is signed.

In:    the erasure as its journal has it; what each store held before and holds after.
Out:   plain data.
Never: a value of the person: they are named by keyed hashes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tillit.clock import rfc3339
from tillit.privacy.erasure import KIND, VERSION, Erasure, Tombstones, digest
from tillit.workspace.erasure_target import Kept, Target


def document_of(
    one: Erasure,
    target: Target,
    *,
    position: int,
    before: Mapping[str, int],
    places: Mapping[str, int],
    scan: Mapping[str, Any],
    stays: Sequence[Kept],
    tombstones: Tombstones,
    hashes: Sequence[bytes],
    reason: str,
    operator: str,
    now: int,
) -> dict[str, Any]:
    """Write what was erased, where, and how it was looked for.

    `before`: rows of theirs in each store; `places`: what went from elsewhere; `scan`: as `Search.look` gives it;
    `hashes`: the tombstones of this erasure; `position`: of its act in the log.
    """
    after = scan["after"]
    subject = json.dumps([one.erasure_id, sorted(target.holdings.keys)]).encode()
    stores = [
        {
            "name": name,
            "rows_before": n,
            "rows_after": after.get(name, 0),
            "scan_hash": digest(one.erasure_id.encode(), name.encode(), str(after.get(name, 0)).encode()),
        }
        for name, n in before.items()
    ]
    stores += [{"name": name, "rows_before": n, "rows_after": 0} for name, n in sorted(places.items())]
    return {
        "type": KIND,
        "version": VERSION,
        "erasure_id": one.erasure_id,
        "request": None,
        "begun_at": rfc3339(one.begun_at),
        "erased_at": rfc3339(one.erased_at),
        "erased_at_us": one.erased_at,
        "certified_at": rfc3339(now),
        "subject_commitment": tombstones.commit(subject),
        "tombstone_commitment": digest(*hashes),
        "tombstones": [hashed.hex() for hashed in hashes],
        "n_events": len(target.positions),
        "log": {
            "epoch": one.epoch,
            "act": position,
            "through": one.through,
            "positions": _runs(target.positions),
        },
        "stores": stores,
        "key_ids_destroyed": [],
        "recipients": [],
        "exceptions": [{"basis": kept.why, "until": None} for kept in stays],
        "verification": {name: told for name, told in scan.items() if name != "after"},
        "log_checkpoint": None,
        "inclusion_proof": None,
        "reason": reason,
        "operator": operator if operator.isascii() and "@" not in operator else "named",
    }


def _runs(positions: Sequence[int]) -> list[list[int]]:
    """Give sorted positions as runs of first and last.

    >>> _runs([1, 2, 3, 7])
    [[1, 3], [7, 7]]
    """
    runs: list[list[int]] = []
    for position in positions:
        if runs and runs[-1][1] == position - 1:
            runs[-1][1] = position
        else:
            runs.append([position, position])
    return runs
