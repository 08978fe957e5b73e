"""Catalog: the audiences in force, under the purposes in force.

In:    a moment of the state.
Out:   what `audience/` makes of the definitions that hold.
Never: an audience that is not held to what its purpose may use.
"""

from tillit.audience import Catalog, Lens, lens_of, read_catalog
from tillit.consent import policy_in_force
from tillit.store import Reading


def catalog_of(reading: Reading) -> Catalog:
    """Give the audiences in force, under the purposes in force."""
    declared = policy_in_force(reading)

    def lens(name: str) -> Lens:
        purpose = declared.purposes.get(name)
        return lens_of(purpose.basis, purpose.categories) if purpose is not None else None

    return read_catalog(reading, lens, declared.hash)
