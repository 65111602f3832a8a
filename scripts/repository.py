"""Give the book another public home: python scripts/repository.py owner/name

Replaces the present owner/name (read from _config.yml) and its page on github.io in every tracked
text file and every notebook.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACEHOLDER = "  # a placeholder until it is public"
NAME = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")


def rename(text: str, old: str, new: str) -> str:
    """The text with the repository `old` ("owner/name") called `new`, its published page too."""
    (old_owner, old_name), (new_owner, new_name) = old.split("/"), new.split("/")
    renamed = {
        f"{old_owner}.github.io/{old_name}": f"{new_owner}.github.io/{new_name}",
        old: new,
        f"notfound_urls_prefix: /{old_name}/": f"notfound_urls_prefix: /{new_name}/",
    }
    for quote in ('"', '\\"'):  # as in a source, and as in a notebook's JSON
        folder, url = f"{quote}{{}}{quote}", f"https://github.com/{new}{quote}"
        renamed |= {folder.format(old_name): folder.format(new_name), url + PLACEHOLDER: url}
    for before, after in renamed.items():
        text = text.replace(before, after)
    return text


def current(root: Path) -> str:
    """owner/name as _config.yml names it."""
    config = (root / "_config.yml").read_text(encoding="utf-8")
    return re.search(r"url: https://github\.com/(\S+)", config)[1]


def main() -> None:
    new = sys.argv[1] if len(sys.argv) == 2 else ""
    if not NAME.fullmatch(new):
        sys.exit(f"NAME={new!r} is not of the form owner/name: make repository NAME=owner/name")
    old = current(ROOT)
    tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    for path in (ROOT / name for name in tracked.split("\0") if name):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if rename(text, old, new) != text:
            path.write_text(rename(text, old, new), encoding="utf-8")
            print(f"changed {path.relative_to(ROOT)}")
    print(f"The book's home is now https://github.com/{new}.")


if __name__ == "__main__":
    main()
