"""Why: a definition explained for one person at one instant, and what would change the answer.

In:    a definition; what is kept of one person; an instant.
Out:   each part with its value, what it is compared with and the events that decide; when the answer changes by itself;
       the smallest change found that would turn it.
Never: another answer than the evaluator's, or a change that was not tried on the person's tapes.

What was found (`finding`, of sequences by `ways`) and what could happen (`proposals`) stand beside each other;
`changes` tries it on a person (`trial`), also over time (`turning`, `lasting`), and `explaining` tells all of it.
"""

from tillit.language.why.changes import Change
from tillit.language.why.explaining import Deciding, Explained, Reason, explain
from tillit.language.why.turning import next_change

__all__ = ["Change", "Deciding", "Explained", "Reason", "explain", "next_change"]
