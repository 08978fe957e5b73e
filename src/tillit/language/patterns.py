"""Patterns: what RE2 reads, said again in PostgreSQL's words, where both mean the same.

In:    a pattern of RE2.
Out:   a pattern of PostgreSQL that finds the same texts; None where that is not sure.
Never: a guess. What hangs on alphabets, on lines or on what a group caught is not translated.
"""

import re

_MOST_REPEATS = 255  # PostgreSQL's own bound
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}
_PLAIN_ESCAPES = {"t": r"\t", "n": r"\n", "r": r"\r", "f": r"\f", "v": r"\v"}
_REPEAT = re.compile(r"\{(\d+)(,(\d*))?\}")
_MARKS = frozenset(".^$*+?()[]{}|\\")


def to_postgres(pattern: str) -> str | None:
    r"""Say a pattern as PostgreSQL reads it.

    >>> to_postgres(r"^\d+\.a?"), to_postgres(r"a.b"), to_postgres(r"(?i)a"), to_postgres(r"\bx")
    ('^[0-9]+\\.a?', 'a[^\\n]b', None, None)
    """
    said: list[str] = []
    at = 0
    while at < len(pattern):
        c = pattern[at]
        if c == "[":
            found = _bracket(pattern, at)
            if found is None:
                return None
            text, at = found
            said.append(text)
            continue
        if c == "\\":
            escaped = _escape(pattern[at + 1 : at + 2])
            if escaped is None:
                return None
            said.append(escaped)
            at += 2
            continue
        if c == "(":
            if pattern.startswith("(?", at) and not pattern.startswith("(?:", at):
                return None
            taken = 3 if pattern.startswith("(?:", at) else 1
            said.append("(?:")
            at += taken
            continue
        if c in "*+?{":
            repeat = _repeat(pattern, at)
            if repeat is None or not said:
                return None
            text, at = repeat
            said.append(text)
            continue
        if c in "}]":
            return None
        said.append(r"[^\n]" if c == "." else c)
        at += 1
    # Three stars at the beginning would be read as a word about the pattern.
    return "(?:" + "".join(said) + ")" if said and said[0] == "*" else "".join(said)


def _escape(c: str) -> str | None:
    if c in ("d", "w", "s"):
        return f"[{_CLASSES[c]}]"
    if c in ("D", "W", "S"):
        return f"[^{_CLASSES[c.lower()]}]"
    if c in _PLAIN_ESCAPES:
        return _PLAIN_ESCAPES[c]
    return "\\" + c if c and not c.isalnum() and c.isascii() else None


def _repeat(pattern: str, at: int) -> tuple[str, int] | None:
    c = pattern[at]
    if c != "{":
        text, at = c, at + 1
    else:
        found = _REPEAT.match(pattern, at)
        if found is None or any(int(n) > _MOST_REPEATS for n in (found[1], found[3]) if n):
            return None
        text, at = found[0], found.end()
    # How much of a text a repetition takes says nothing of whether it is found at all.
    if pattern.startswith("?", at):
        at += 1
    return None if pattern[at : at + 1] in ("*", "+", "?") or _REPEAT.match(pattern, at) else (text, at)


def _bracket(pattern: str, at: int) -> tuple[str, int] | None:
    end = at + 1
    said = ["["]
    if pattern[end : end + 1] == "^":
        said.append("^")
        end += 1
    begin = end
    while end < len(pattern) and pattern[end] != "]":
        c = pattern[end]
        if c == "[":
            return None  # a class by name
        if c == "\\":
            escaped = pattern[end + 1 : end + 2]
            if escaped in _CLASSES:
                said.append(_CLASSES[escaped])
            elif escaped in _PLAIN_ESCAPES:
                said.append(_PLAIN_ESCAPES[escaped])
            elif escaped and not escaped.isalnum() and escaped.isascii():
                said.append("\\" + escaped)
            else:
                return None
            end += 2
            continue
        said.append(c)
        end += 1
    if end >= len(pattern) or end == begin:
        return None
    return "".join(said) + "]", end + 1
