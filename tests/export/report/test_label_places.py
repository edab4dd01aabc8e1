"""Labels keep clear of points and of each other, and never leave the frame."""

import numpy as np

from export.report.label_places import Box, Label, place_labels

FRAME = Box(0, 0, 400, 300)
SIZE = 9.0


def around(label: Label, reach: float = 3.5) -> Box:
    return Box(label.x - reach, label.y - reach, label.x + reach, label.y + reach)


def box_of(label: Label, place) -> Box:
    """What the text covers, as seen from outside: 0.6 of the font size per character."""
    x, y = label.x + place.dx, label.y + place.dy
    half = 0.3 * SIZE * len(place.text)
    return Box(x - half, y - SIZE / 2, x + half, y + SIZE / 2)


def spread(count: int, text: str) -> list[Label]:
    rng = np.random.default_rng(11)
    return [Label(rng.uniform(20, 380), rng.uniform(20, 280), f"{n} {text}", str(n)) for n in range(count)]


def test_thirty_labels_cover_no_point_and_no_other_label():
    labels = spread(30, "ab")
    points = [around(label) for label in labels]
    places = place_labels(labels, points, [], FRAME, SIZE)
    boxes = [box_of(label, place) for label, place in zip(labels, places, strict=True)]
    assert not any(box.meets(point) for box in boxes for point in points)
    assert not any(a.meets(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(FRAME.holds(box) for box in boxes)


def test_a_label_in_a_corner_stays_inside():
    label = Label(398, 298, "a name that is long", "1")
    [place] = place_labels([label], [around(label)], [], FRAME, SIZE)
    assert FRAME.holds(box_of(label, place))


def test_where_no_place_is_free_the_short_text_stands_in():
    label = Label(200, 150, "a name that is long", "1")
    walls = [Box(0, 0, 195, 300), Box(225, 0, 400, 300)]
    [place] = place_labels([label], walls, [], FRAME, SIZE)
    assert place.text == "1"
    [free] = place_labels([label], [], [], FRAME, SIZE)
    assert free.text == label.text


def test_a_label_far_off_asks_for_a_line_to_its_point():
    label = Label(200, 150, "1", "1")
    [near] = place_labels([label], [around(label)], [], FRAME, SIZE)
    [far] = place_labels([label], [around(label, 25)], [], FRAME, SIZE)
    assert (near.far, far.far) == (False, True)


def test_of_two_good_places_the_one_that_crosses_no_line_is_taken():
    label = Label(200, 150, "1", "1")
    [free] = place_labels([label], [around(label)], [], FRAME, SIZE)
    crossed = box_of(label, free)
    [moved] = place_labels([label], [around(label)], [crossed], FRAME, SIZE)
    assert not box_of(label, moved).meets(crossed)
