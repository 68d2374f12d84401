"""Says in a few lines what pip-audit found: which packages have known faults, and how many it could not ask about."""

import json
import sys
from pathlib import Path
from typing import Any


def report(answer: str, said: str) -> list[str]:
    """Lines from pip-audit's JSON and what it wrote beside; not to have asked is not told as to have found nothing."""
    try:
        packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = said.strip().splitlines()[-1:] or ["it ended before it answered"]
        return [f"audit: NOT DONE, the advisory database was not reached: {last[0]}"]
    asked = [package for package in packages if "vulns" in package]
    if not asked:
        return [f"audit: NOT DONE, the advisory database here knows none of the {len(packages)} packages"]
    faults = [(package, fault) for package in asked for fault in package["vulns"]]
    skipped = len(packages) - len(asked)
    first = f"audit: {len(faults)} known faults in {len(asked)} packages"
    return [f"{first}; {skipped} could not be asked about" if skipped else first, *(_line(*one) for one in faults)]


def _line(package: dict[str, Any], fault: dict[str, Any]) -> str:
    repaired = ", ".join(fault.get("fix_versions", ())) or "no version"
    names = ", ".join([fault["id"], *fault.get("aliases", ())])
    return f"audit: {package['name']} {package['version']}: {names}; repaired in {repaired}"


if __name__ == "__main__":
    files = [Path(name) for name in sys.argv[1:3]]
    sys.stdout.write("\n".join(report(*(file.read_text() for file in files))) + "\n")
