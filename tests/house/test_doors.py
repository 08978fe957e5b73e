"""What a room shows is listed, in order; leave to use values is made in one place."""

import ast

from tests.house.source_tree import PACKAGE, Module, called_names, defined_names, list_modules

GATED = {"Permit", "Scope"}


def test_every_door_lists_what_it_shows_sorted_and_true() -> None:
    wrong = []
    for module in list_modules():
        listed = listed_names(module)
        if listed is None:
            continue
        if len(set(listed)) != len(listed):
            wrong.append(f"{module.file}  lists a name twice")
        if listed != sorted(listed, key=door_order):
            wrong.append(f"{module.file}  __all__ is not sorted: constants, classes, functions, each by name")
        wrong += [f"{module.file}  lists {name!r}, which is not there" for name in set(listed) - defined_names(module)]

    assert wrong == []


def test_every_room_has_a_list_of_what_it_shows() -> None:
    # A door without a list shows everything; an empty room has nothing to show.
    open_doors = [
        module.file
        for module in list_modules()
        if module.path.name == "__init__.py"
        and module.path.parent.parent == PACKAGE
        and any(not isinstance(node, ast.Expr) for node in module.tree.body)
        and listed_names(module) is None
    ]

    assert open_doors == []


def test_only_consent_makes_permits_and_scopes() -> None:
    forged = [
        f"{module.file}:{line}  {name}(...)"
        for module in list_modules()
        if module.part != "consent"
        for name, line in called_names(module)
        if name in GATED
    ]

    assert forged == []


def test_leave_without_the_person_s_word_is_asked_for_at_the_desk_alone() -> None:
    callers = {
        module.file for module in list_modules() for name, _ in called_names(module) if name == "break_glass_scope"
    }

    # The workspace hands it on, the desk asks for whoever holds an open session: no key, no command.
    assert callers == {"src/tillit/workspace/workspace.py", "src/tillit/console/desk.py"}


def listed_names(module: Module) -> list[str] | None:
    for node in module.tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            assert isinstance(node, (ast.Assign, ast.AnnAssign))
            assert node.value is not None
            return [str(name) for name in ast.literal_eval(node.value)]
    return None


def door_order(name: str) -> tuple[int, str]:
    """Order as the linter does: CONSTANTS, Classes, functions."""
    bare = name.lstrip("_")
    if len(bare) > 1 and bare == bare.upper():
        return 0, name
    return (1, name) if bare[:1].isupper() else (2, name)
