"""Makes `starloom/data/linguist.json`: Linguist's names with their ids, types, other spellings and names of former releases.

    npm pack linguist-languages@6.2.0 (and 7.15.0, 7.27.0, 8.0.0, 9.5.0), each unpacked into a folder of its own
    python benchmarks/linguist_names.py OLDEST ... NEWEST      (the folders; needs node)

A language keeps its `languageId` when it is renamed, so the names under one id are the names that it has had. The newest
release says what it is called now; a language that was taken out keeps its last name.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from starloom.core.files import write_text

TARGET = Path(__file__).parent.parent / "src/starloom/data/linguist.json"
_READ = """
import { readdirSync, readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
const found = []
for (const name of readdirSync(process.argv[1]).sort()) {
  const path = process.argv[1] + '/' + name
  if (name.endsWith('.json')) found.push(JSON.parse(readFileSync(path)))
  else if (name.endsWith('.js')) {
    const text = readFileSync(path, 'utf8').replace('module.exports =', 'export default')
    found.push((await import('data:text/javascript,' + encodeURIComponent(text))).default)
  }
}
console.log(JSON.stringify(found))
"""


def release(folder: Path) -> list[dict[str, Any]]:
    """All languages of one unpacked package."""
    command = ["node", "--input-type=module", "-e", _READ, str(folder / "data")]
    languages: list[dict[str, Any]] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return [language for language in languages if "languageId" in language]


def main(folders: list[Path]) -> None:
    versions = [json.loads((folder / "package.json").read_text())["version"] for folder in folders]
    by_id: dict[int, dict[str, Any]] = {}
    names: dict[int, list[str]] = {}
    for folder in folders:
        for language in release(folder):
            by_id[language["languageId"]] = language
            names.setdefault(language["languageId"], []).append(language["name"])
    table = {}
    for number, language in sorted(by_id.items(), key=lambda item: item[1]["name"].casefold()):
        entry: dict[str, Any] = {"id": number, "type": language["type"]}
        if former := sorted({*names[number]} - {language["name"]}):
            entry["formerly"] = former
        if language.get("aliases"):
            entry["aliases"] = language["aliases"]
        table[language["name"]] = entry
    about = {
        "source": f"npm linguist-languages {', '.join(versions)}: Linguist's languages.yml",
        "licence": "MIT, (c) GitHub, Inc.",
    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in table.items())
    write_text(TARGET, f'{json.dumps(about)[:-1]}, "languages": {{\n{lines}\n}}}}\n')
    print(f"{len(table)} languages, {sum('formerly' in entry for entry in table.values())} of them renamed: {TARGET.name}")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
