"""Papers: consent records and receipts that leave with the person, signed by the workspace.

In:    who is meant, a purpose.
Out:   documents after ISO/IEC TS 27560 (DPV) or Kantara 1.1.
Never: one that its own checker would refuse.
"""

from collections.abc import Callable
from typing import Any

from tillit.consent import UnknownPurpose, load_statements, policy_in_force
from tillit.consent.paper import record_of
from tillit.consent.receipts import sign, write_kantara, write_record
from tillit.profile import strand_keys
from tillit.store import State
from tillit.workspace.people import find_membership_of, unknown_profile


class Papers:
    """Consent records of one workspace."""

    def __init__(self, state: State, *, secret: Callable[[], bytes], epoch: Callable[[], int]) -> None:
        """Know what was said, and with which key to sign."""
        self._state = state
        self._secret = secret
        self._epoch = epoch

    def record(self, who: str, purpose: str) -> dict[str, Any]:
        """Give what somebody said of a purpose as a signed consent record.

        Raises: NotFound, UnknownPurpose, NothingToRecord, ControllerMissing, RecordIncomplete.
        """
        return sign(write_record(self._record(who, purpose)), self._secret())

    def kantara(self, who: str, purpose: str) -> dict[str, Any]:
        """Give the flat receipt that older systems read. Raises as `record`, and NoConsentToReceipt."""
        return write_kantara(self._record(who, purpose), collection_method="web form")

    def _record(self, who: str, purpose: str) -> Any:
        with self._state.snapshot() as reading:
            declared = policy_in_force(reading)
            membership = find_membership_of(reading, who)
            if membership is None:
                raise unknown_profile()
            if purpose not in declared.purposes:
                raise UnknownPurpose(purpose, declared.purposes)
            statements = load_statements(reading, strand_keys(membership))
        return record_of(
            declared, purpose, statements, subject=membership.profile_id, workspace=f"urn:tillit:log:{self._epoch()}"
        )
