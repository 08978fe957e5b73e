"""Bounds that hold inside, too slow to reach through the door."""

from tillit.profile.strands import StrandMemory, new_document


def test_fat_strands_leave_memory_before_many_thin_ones_would() -> None:
    memory = StrandMemory(most=100, most_bytes=1_000)

    memory.keep({(n, 0): new_document() for n in range(10)}, {(n, 0): 300 for n in range(10)})
    memory.keep({(9, 0): new_document()}, {(9, 0): 100})

    assert list(memory.documents) == [(7, 0), (8, 0), (9, 0)]
    memory.keep({(11, 0): new_document()}, {(11, 0): 400})
    assert list(memory.documents) == [(8, 0), (9, 0), (11, 0)]  # 300 + 100 + 400; with the oldest it would be 1,100


def test_one_strand_larger_than_the_memory_is_not_kept() -> None:
    memory = StrandMemory(most=100, most_bytes=1_000)

    memory.keep({(1, 0): new_document()}, {(1, 0): 5_000})

    assert memory.documents == {}
