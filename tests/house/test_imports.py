"""Imports run one way, and nothing sneaks around it."""

from tests.house.source_tree import LEVEL, ROOMS, iter_imports, list_modules


def test_every_part_of_the_package_has_a_level() -> None:
    homeless = sorted({module.file for module in list_modules() if module.part not in LEVEL})

    assert homeless == []


def test_imports_run_one_way() -> None:
    uphill = [
        str(edge)
        for module in list_modules()
        for edge in iter_imports(module)
        if edge.target_part != module.part and LEVEL.get(edge.target_part, 99) >= LEVEL.get(module.part, 99)
    ]

    assert uphill == []


def test_rooms_never_import_each_other() -> None:
    crossing = [
        str(edge)
        for module in list_modules()
        if module.part in ROOMS
        for edge in iter_imports(module)
        if edge.target_part in ROOMS and edge.target_part != module.part
    ]

    assert crossing == []


def test_nothing_below_the_doors_imports_ours_inside_a_function() -> None:
    # The command line and the public door load rooms late so that they start fast; below them it would hide a cycle.
    hidden = [
        str(edge)
        for module in list_modules()
        if module.part not in ("cli", "__init__", "__main__")
        for edge in iter_imports(module)
        if edge.is_inside_function
    ]

    assert hidden == []


def test_type_checking_is_for_outside_packages() -> None:
    # The public door says what it gives without loading it; nothing lies above it that it could hide a cycle with.
    hidden = [
        str(edge)
        for module in list_modules()
        if module.name != "tillit"
        for edge in iter_imports(module)
        if edge.is_for_typing
    ]

    assert hidden == []
