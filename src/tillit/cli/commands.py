"""The whole command line, loaded: for who reads all of it.

In:    the words.
Out:   the tree of commands.
Never: what a run waits for: a run loads the one command it is.
"""

from tillit.cli.words import tree

app = tree()
