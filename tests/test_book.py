"""The built book, as readers get it: links hold, pages are whole, nothing comes from elsewhere.

`make html` builds it first, if `make book` has not done so already.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import Browser, find_chromium, serve

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build/html"
THEME_PAGES = {"404", "genindex", "py-modindex", "search"}  # made without a source


class Document(HTMLParser):
    """What a page links to, what can be linked to in it, and its pictures."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.images: list[dict[str, str | None]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.anchors.update(filter(None, (named.get("id"), named.get("name"))))
        target = named.get("src") or named.get("href")
        if target and tag in ("a", "img", "script", "link", "source", "iframe"):
            self.links.append(target)
        if tag == "img":
            self.images.append(named)


@pytest.fixture(scope="module")
def html() -> Path:
    """The folder of the built book, up to date."""
    if not (Path(sys.prefix) / "bin/jupyter-book").exists():
        pytest.skip("Jupyter Book is not installed here: run `make test`")
    command = ["make", "-o", ".venv/ready", "html", f"BIN={sys.prefix}/bin"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return HTML


@pytest.fixture(scope="module")
def documents(html: Path) -> dict[str, Document]:
    """Every page: the book's own, and the sources that the API reference links to."""
    paths = [*html.glob("*.html"), *html.glob("_modules/**/*.html")]
    return {path.relative_to(html).as_posix(): Document(path) for path in sorted(paths)}


@pytest.fixture(scope="module")
def pages(documents: dict[str, Document]) -> list[str]:
    """The book's own pages."""
    return [name for name in documents if "/" not in name]


@pytest.fixture(scope="module")
def site(html: Path) -> Iterator[tuple[str, Browser]]:
    """The book's address and a browser."""
    if find_chromium() is None:
        pytest.skip("no Chromium here: on Debian, sudo apt install chromium")
    with serve(html) as base, Browser() as browser:
        yield base, browser


def broken_links(documents: dict[str, Document], html: Path) -> list[str]:
    """Links inside the book that lead to no file, or to no place in a file."""
    broken = []
    for name, document in documents.items():
        for link in document.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or parts.path.startswith("/") or link == "#":
                continue
            target = (html / name).parent / unquote(parts.path) if parts.path else html / name
            page = documents.get(str(target.resolve().relative_to(html.resolve())))
            place = unquote(parts.fragment)
            if not target.exists() or (page and place and place not in page.anchors):
                broken.append(f"{name}: {link}")
    return broken


def test_internal_links_hold(documents: dict[str, Document], html: Path) -> None:
    assert sum(len(document.links) for document in documents.values()) > 100
    assert broken_links(documents, html) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#no">x</a><img src="c.png"><a href="a.html">')
    (tmp_path / "b.html").write_text('<p id="yes">')
    documents = {name: Document(tmp_path / name) for name in ("a.html", "b.html")}
    assert broken_links(documents, tmp_path) == ["a.html: b.html#no", "a.html: c.png"]


def test_every_picture_has_an_alternative_text(documents: dict[str, Document]) -> None:
    silent = [
        f"{name}: {image['src']}"
        for name, document in documents.items()
        for image in document.images
        if not image.get("alt") or image["alt"] == image["src"]
    ]
    assert silent == []


def test_colab_button_leads_to_the_chapter(pages: list[str], html: Path) -> None:
    for chapter in (
        name.removesuffix(".html") for name in pages if name[:2].isdigit() and "_" in name
    ):
        page = (html / f"{chapter}.html").read_text(encoding="utf-8")
        links = set(re.findall(r"https://colab\.research\.google\.com/github/[^\"\s]+", page))
        assert len(links) == 1, "badge and button agree"
        assert links.pop().endswith(f"/blob/main/book/{chapter}.ipynb")


def test_pages_open_without_error_or_outside_request(
    pages: list[str], site: tuple[str, Browser]
) -> None:
    base, browser = site
    origin = base.rsplit("/", 2)[0]
    faults = []
    for name in pages:
        page = browser.open(base + name)
        outside = [a for a in page.requests if not a.startswith((origin, "data:", "blob:"))]
        faults += [f"{name}: {fault}" for fault in page.errors + outside]
        assert page.requests, "the page was really opened"
    assert faults == []


def test_a_request_to_another_machine_is_noticed(site: tuple[str, Browser]) -> None:
    base, browser = site
    page = browser.open(base + "index.html")
    browser.evaluate("fetch('http://elsewhere.invalid/x').catch(() => console.error('lost'))")
    assert "http://elsewhere.invalid/x" in page.requests
    assert any("lost" in error for error in page.errors)


def test_mathematics_is_typeset(pages: list[str], site: tuple[str, Browser]) -> None:
    base, browser = site
    formulas = 0
    for name in pages:
        browser.open(base + name)
        raw = "[...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-math'))"
        assert browser.evaluate(f"{raw}.map(e => e.textContent)") == [], name
        assert browser.evaluate("document.querySelectorAll('mjx-merror').length") == 0, name
        formulas += browser.evaluate("document.querySelectorAll('mjx-math').length")
    assert formulas > 20


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_scrolls_sideways(pages: list[str], site: tuple[str, Browser], width: int) -> None:
    base, browser = site
    browser.window(width, 900, mobile=width < 500)
    wide = {}
    for name in pages:
        browser.open(base + name)
        wide[name] = browser.evaluate("document.documentElement.scrollWidth")
    assert {name: w for name, w in wide.items() if w > width} == {}


def test_dark_and_light_differ(site: tuple[str, Browser]) -> None:
    base, browser = site
    colours = {}
    for theme in ("light", "dark"):
        browser.theme(theme)
        browser.open(base + "index.html")
        colours[theme] = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = {t: sum(map(int, re.findall(r"\d+", c)[:3])) for t, c in colours.items()}
    assert brightness["light"] > 600
    assert brightness["dark"] < 150


def test_the_book_searches_itself(site: tuple[str, Browser]) -> None:
    base, browser = site
    browser.open(base + "search.html?q=temperature")
    found = """new Promise(async done => {
      let found = [];
      for (let i = 0; i < 100; i++) {
        const hits = document.querySelectorAll('#search-results li a');
        found = [...hits].map(a => a.getAttribute('href'));  // they come one by one
        if (found.some(link => link.includes('notation'))) break;
        await new Promise(r => setTimeout(r, 100));
      }
      done(found);
    })"""
    assert any("notation" in link for link in browser.evaluate(found))


def test_no_page_is_left_over(html: Path) -> None:
    """Every page of ours comes from a source that is still there."""
    ours = {p.stem for p in html.glob("*.html")} - THEME_PAGES
    sources = {p.stem for p in (ROOT / "book").iterdir() if p.suffix in (".md", ".ipynb")}
    assert ours <= sources
