"""What is in the repository holds on any machine: no paths of one, no address where packages are fetched from."""

import json
import re
import subprocess
from pathlib import Path

from tests.house.source_tree import ROOT

# Captured bytes are kept as they were; licences and vendored files are other people's words.
NOT_OURS = ("tests/data/", "src/tillit/console/static/vendor/", "LICENSE")
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(work|root|home/\w+|Users/\w+|tmp|mnt|workspace|opt/wheels)/[\w.-]+")
REGISTRY_HOST = re.compile(
    r"\b(pypi\.org|files\.python\w+\.org|pypi\.python\.org|registry\.npmjs\.org|registry\.yarnpkg\.com"
    r"|deb\.debian\.org|[\w-]*(artifactory|nexus|devpi|pkgs)[\w-]*\.[a-z]{2,})\b|--(extra-)?index-url\b|--registry\b"
)


def test_no_file_names_a_path_of_one_machine() -> None:
    assert offending_lines(MACHINE_PATH) == []


def test_no_file_names_the_place_packages_come_from() -> None:
    assert offending_lines(REGISTRY_HOST) == []


def test_node_packages_are_pinned_exactly() -> None:
    loose = [
        f"{file}  {name} {version}"
        for file in our_files()
        if file.endswith("package.json")
        for group in ("dependencies", "devDependencies")
        for name, version in json.loads((ROOT / file).read_text(encoding="utf-8")).get(group, {}).items()
        # another name for one exact version: "npm:@segment/analytics-next@1.70.0"
        if not re.fullmatch(r"(npm:(@[\w./-]+|[\w.-]+)@)?\d+\.\d+\.\d+(-[\w.]+)?", version)
    ]

    assert loose == []


def test_no_lock_file_is_kept() -> None:
    locks = [file for file in our_files() if Path(file).name in {"package-lock.json", "yarn.lock", "pnpm-lock.yaml"}]

    assert locks == []


def our_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [file for file in listed.stdout.splitlines() if not file.startswith(NOT_OURS) and (ROOT / file).is_file()]


def offending_lines(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for file in our_files():
        if file == Path(__file__).relative_to(ROOT).as_posix():
            continue  # the patterns themselves
        try:
            text = (ROOT / file).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or an archive
        found += [
            f"{file}:{number}  {match[0]}"
            for number, line in enumerate(text.splitlines(), start=1)
            if (match := pattern.search(line))
        ]
    return found
