"""`python -m tillit`: the same as the command `tillit`.

In:    arguments.
Out:   what the command gives.
Never: anything else.
"""

from tillit.cli import main

if __name__ == "__main__":
    main()
