"""Picture every page of the built book, in light and dark, at desktop and phone width.

python scripts/screenshots.py _build/html FOLDER
"""

import sys
from pathlib import Path

from browser import Browser, serve

WIDTHS = {"desktop": 1280, "phone": 390}


def main() -> None:
    html, out = map(Path, sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    with serve(html) as base, Browser() as browser:
        for page in sorted(html.glob("*.html")):
            for device, width in WIDTHS.items():
                for theme in ("light", "dark"):
                    browser.window(width, 900, mobile=device == "phone")
                    browser.theme(theme)
                    browser.open(base + page.name)
                    height = browser.evaluate("document.documentElement.scrollHeight")
                    browser.window(width, min(int(height), 16000), mobile=device == "phone")
                    browser.screenshot(out / f"{page.stem}-{device}-{theme}.png")
            print(page.name)


if __name__ == "__main__":
    main()
