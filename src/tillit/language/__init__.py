"""The language of audiences and features: one definition, its live evaluator, its SQL, its sentence.

In:    definitions as people write them.
Out:   nodes, and what answers them.
Never: input or output; a person's values kept beyond one answer.
"""
