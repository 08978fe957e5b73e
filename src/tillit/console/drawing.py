"""A drawing of one person's identifiers: who they are in the middle, addresses around, devices at the rim.

In:    the person's identifiers and the ties between them and others.
Out:   places, lines and words for an inline SVG; the same for the same input, whoever looks.
Never: more than can be read. What is left out is counted, and stands in the table.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tillit.console.ties import ADDRESS, DEVICE, PERSON, End, Tie

MOST_DOTS = 60
_MOST = {PERSON: 8, ADDRESS: 16}
_MOST_OTHERS = 10
# Units of the drawing. Labels stand beside a device, below anything else.
_RADIUS = {PERSON: 22, ADDRESS: 18, DEVICE: 13}
_GAP = {PERSON: 98, ADDRESS: 86, DEVICE: 46}
_MANY, _NARROW_GAP = 14, 34  # devices on one side: beyond, they stand closer
_TO_ADDRESS = 190  # from the middle to the addresses
_TO_RIM = 170  # from there, or with less to pass by from the middle, to the rim
_LABEL = 158
_CAPTION = 34
_MARGIN = 22
_FEW = {ADDRESS: 3, DEVICE: 6}  # so few stand on one side
_LONGEST = 22


class Dot(NamedTuple):
    """One identifier in its place."""

    key: str
    kind: str
    sort: str
    value: str  # whole
    label: str
    x: int
    y: int
    radius: int
    label_x: int
    label_y: int
    anchor: str  # start, middle, end
    is_theirs: bool


class Line(NamedTuple):
    """One tie."""

    tie: Tie
    path: str
    x: int  # where a mark on it stands
    y: int


class Box(NamedTuple):
    """What frames the identifiers of somebody else."""

    x: int
    y: int
    width: int
    height: int
    profile_id: str
    name: str


class Drawing(NamedTuple):
    """The whole."""

    dots: list[Dot]
    lines: list[Line]
    boxes: list[Box]
    width: int
    height: int
    n_left_out: int


class _Place(NamedTuple):
    end: End
    x: int  # from the middle
    y: int


def draw(ties: Sequence[Tie], own: Sequence[End], names: Mapping[str, str]) -> Drawing | None:
    """Draw them; None when there is nothing beside one identifier.

    `names` says what others are called, by profile id.
    """
    tied = {end.key for tie in ties for end in (tie.one, tie.other)}
    others = {end.key: end for tie in ties for end in (tie.one, tie.other) if not end.is_theirs}
    if len(own) + len(others) < 2:
        return None
    mine = sorted(own, key=lambda end: end.key not in tied)  # what nothing ties goes first when there are too many
    foreign = sorted(list(others.values())[:_MOST_OTHERS], key=lambda end: end.profile_id)
    core, around = ([end for end in mine if end.sort == sort][:most] for sort, most in _MOST.items())
    rim = [end for end in mine if end.sort == DEVICE][: MOST_DOTS - len(core) - len(around) - len(foreign)]
    if not core:
        core, around, rim = (around[:1], around[1:], rim) if around else (rim[:1], [], rim[1:])
    places = _by_weight(core, ties)
    right_around, left_around = _halves(around, _FEW[ADDRESS])
    if foreign:
        # Their box takes the right; devices fill up below it only when the left has more than it.
        n_left = len(rim) if len(rim) <= _FEW[DEVICE] else _half(len(rim) + len(foreign))
        left_rim, right_rim = rim[:n_left], rim[n_left:]
    else:
        left_rim, right_rim = _halves(rim, _FEW[DEVICE])
    places += _arc(left_around, -_TO_ADDRESS, _GAP[ADDRESS], bulge=26)
    places += _arc(right_around, _TO_ADDRESS, _GAP[ADDRESS], bulge=26)
    gap = _GAP[DEVICE] if len(left_rim) <= _MANY else _NARROW_GAP
    places += _arc(left_rim, -_rim_x(left_around), gap, bulge=64)
    boxes: list[Box] = []
    if foreign:
        placed, boxes = _box(foreign, right_rim, _rim_x(right_around), names)
        places += placed
    else:
        places += _arc(right_rim, _rim_x(right_around), gap, bulge=64)
    drawn = {place.end.key for place in places}
    n_left_out = len({end.key for end in own} | others.keys()) - len(drawn)
    return _framed(places, boxes, ties, n_left_out)


def _by_weight(core: list[End], ties: Sequence[Tie]) -> list[_Place]:
    """Stack them, what most ties name in the middle: its lines then pass by nobody."""
    weight = {end.key: 0 for end in core}
    for tie in ties:
        for end in (tie.one, tie.other):
            if end.key in weight:
                weight[end.key] += 1
    ordered = sorted(core, key=lambda end: -weight[end.key])
    # In the middle, below it, above it, and so on.
    return [_Place(end, 0, _GAP[PERSON] * _half(i) * (1 if i % 2 else -1)) for i, end in enumerate(ordered)]


def _half(n: int) -> int:
    return (n + 1) // 2


def _halves(ends: list[End], few: int) -> tuple[list[End], list[End]]:
    if len(ends) <= few:
        return ([], ends) if ends and ends[0].sort == DEVICE else (ends, [])
    return ends[: _half(len(ends))], ends[_half(len(ends)) :]


def _rim_x(around: Sequence[End]) -> int:
    return _TO_ADDRESS + _TO_RIM if around else _TO_ADDRESS + 20


def _rows(n: int, gap: int) -> list[int]:
    return [round((i - (n - 1) / 2) * gap) for i in range(n)]


def _arc(ends: Sequence[End], x: int, gap: int, *, bulge: int) -> list[_Place]:
    """Place ends above each other, the middle ones further out."""
    n = len(ends)
    depth = min(bulge, 9 * max(n - 2, 0)) * (1 if x > 0 else -1)
    found = []
    for i, (end, y) in enumerate(zip(ends, _rows(n, gap), strict=True)):
        t = 2 * i / (n - 1) - 1 if n > 1 else 0.0
        found.append(_Place(end, x + round(depth * (1 - t * t)), y))
    return found


def _box(
    foreign: Sequence[End], more: Sequence[End], x: int, names: Mapping[str, str]
) -> tuple[list[_Place], list[Box]]:
    """Frame the identifiers of others, one box for each person; devices of one's own follow below."""
    gap = _GAP[DEVICE]
    people: dict[str, list[End]] = {}
    for end in foreign:
        people.setdefault(end.profile_id, []).append(end)
    height = sum(_CAPTION + gap * len(ends) + 12 for ends in people.values()) + gap * len(more) - 12
    y = -height // 2
    places: list[_Place] = []
    boxes: list[Box] = []
    for who, ends in people.items():
        boxes.append(
            Box(x - 26, y, _LABEL + 50, _CAPTION + gap * len(ends), who, _cut(names.get(who) or ends[0].value))
        )
        places += [_Place(end, x, y + _CAPTION + gap // 2 - 4 + i * gap) for i, end in enumerate(ends)]
        y += _CAPTION + gap * len(ends) + 12
    places += [_Place(end, x, y + gap // 2 + i * gap) for i, end in enumerate(more)]
    return places, boxes


def _framed(places: list[_Place], boxes: list[Box], ties: Sequence[Tie], n_left_out: int) -> Drawing:
    """Move all so that nothing is left of or above nought, and say how large the whole is."""
    left = right = top = bottom = 0
    for end, x, y in places:
        beside = _is_beside(end, x)
        reach = _RADIUS[end.sort] + _LABEL if beside else _LABEL // 2 + 6
        left = min(left, x - (reach if x <= 0 or not beside else 0))
        right = max(right, x + (reach if x >= 0 or not beside else 0))
        top = min(top, y - _RADIUS[end.sort])
        bottom = max(bottom, y + _RADIUS[end.sort] + (0 if beside else 36))
    for box in boxes:
        right, top, bottom = max(right, box.x + box.width), min(top, box.y), max(bottom, box.y + box.height)
    place_of = {place.end.key: place for place in places}
    across = [(place_of[tie.one.key], place_of[tie.other.key]) for tie in ties
              if tie.one.key in place_of and tie.other.key in place_of]  # fmt: skip
    if any(_is_across(one, other) for one, other in across):
        bottom += 34
    by, down = _MARGIN - left, _MARGIN - top
    lanes = {side: _lanes([place for place in places if place.x * side > 0]) for side in (-1, 1)}
    lines = [
        _line(tie, place_of[tie.one.key], place_of[tie.other.key], lanes, bottom, by, down)
        for tie in reversed(ties)  # what needs judgement is drawn last, and so above the rest
        if tie.one.key in place_of and tie.other.key in place_of
    ]
    return Drawing(
        [_dot(place, by, down) for place in places],
        lines,
        [box._replace(x=box.x + by, y=box.y + down) for box in boxes],
        right - left + 2 * _MARGIN,
        bottom - top + 2 * _MARGIN,
        n_left_out,
    )


def _is_beside(end: End, x: int) -> bool:
    """Say whether its label stands beside it."""
    return x != 0 and (end.sort == DEVICE or not end.is_theirs)


def _is_across(one: _Place, other: _Place) -> bool:
    """Say whether a line goes from the one rim to the other."""
    return one.x * other.x < 0 and _is_beside(one.end, one.x) and _is_beside(other.end, other.x)


def _lanes(side: Sequence[_Place]) -> list[tuple[int, int]]:
    """Give the places between the addresses of one side through which lines to the rim go."""
    rows = sorted((place.y, place.x) for place in side if not _is_beside(place.end, place.x))
    if not rows:
        return []
    return [(rows[0][1], rows[0][0] - 34), *((x, y + 59) for y, x in rows)]


def _dot(place: _Place, by: int, down: int) -> Dot:
    end = place.end
    x, y, radius = place.x + by, place.y + down, _RADIUS[end.sort]
    if not end.is_theirs:
        radius = min(radius, 14)
    if _is_beside(end, place.x):
        side = 1 if place.x > 0 else -1
        label_x, label_y, anchor = x + side * (radius + 8), y - 2, "start" if side > 0 else "end"
    else:
        label_x, label_y, anchor = x, y + radius + 16, "middle"
    return Dot(
        end.key, end.kind, end.sort, end.value, _cut(end.value), x, y, radius, label_x, label_y, anchor, end.is_theirs
    )


def _line(
    tie: Tie,
    one: _Place,
    other: _Place,
    lanes: Mapping[int, Sequence[tuple[int, int]]],
    bottom: int,
    by: int,
    down: int,
) -> Line:
    (near, far) = (one, other) if abs(one.x) <= abs(other.x) else (other, one)
    x0, y0, x1, y1 = near.x + by, near.y + down, far.x + by, far.y + down
    if _is_across(one, other):
        low, out = bottom + down - 6, 70 if x0 < x1 else -70
        path = f"M{x0} {y0}C{x0 + out} {low} {by - 2 * out} {low} {by} {low}S{x1 - out} {low} {x1} {y1}"
        return Line(tie, path, by, low)
    if abs(x0 - x1) <= 60:
        # Above each other: in a bow, past what stands between them, on the side where no label is.
        side = -1 if near.x > 0 else 1
        away = side * (70 + abs(y0 - y1) // 3)
        x, y = (x0 + x1) // 2 + away, (y0 + y1) // 2
        return Line(tie, f"M{x0} {y0}Q{x} {y} {x1} {y1}", x - away // 2, y)
    passes = lanes[1 if far.x > 0 else -1] if near.x == 0 and _is_beside(far.end, far.x) else []
    if not passes:
        return Line(tie, f"M{x0} {y0}L{x1} {y1}", (x0 + x1) // 2, (y0 + y1) // 2)
    # To the rim through the nearest gap between addresses, so that no line runs through a label.
    lane_x, lane_y = min(passes, key=lambda lane: abs(near.y + (far.y - near.y) * lane[0] / far.x - lane[1]))
    x, y = lane_x + by, lane_y + down
    path = f"M{x0} {y0}C{(x0 + x) // 2} {y0} {(x0 + x) // 2} {y} {x} {y}S{(x + x1) // 2} {y1} {x1} {y1}"
    return Line(tie, path, x + (x1 - x) // 2, (y + y1) // 2)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
