"""What a person gets when they ask for their data: one zip, for machines and for reading.

In:    plain documents of one person.
Out:   a zip with data.json, a CSV file per table, index.html and README.txt.
Never: a name in the zip that is not ours; a formula; a script; other people's data that a field names.
"""

from tillit.privacy.package.archive import FORMAT, Dossier, Packed, check_package, write_package
from tillit.privacy.package.others import Own, Redactor

__all__ = [
    "FORMAT",
    "Dossier",
    "Own",
    "Packed",
    "Redactor",
    "check_package",
    "write_package",
]
