#!/usr/bin/env python3
"""Checks what mdBook and rustdoc let pass.

verify.py listings       each file and anchor that a chapter includes exists
verify.py laws           each law that the book or a contract names is a test
verify.py links FOLDER   each internal link of the built book leads somewhere
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

TOP = Path(__file__).parent.parent
CHAPTERS = TOP / "book/src"
INCLUDE = re.compile(r"(?<!\\)\{\{#(?:include|rustdoc_include|playground)\s+([^\s}]+)")


def anchor_problem(text, anchor):
    if re.fullmatch(r"[\d:]+", anchor):
        return "names lines by number: give them an anchor, numbers go stale"
    marks = [rf"\b{mark}:\s*{re.escape(anchor)}\s*(?:\W*)$" for mark in ("ANCHOR", "ANCHOR_END")]
    counts = [len(re.findall(mark, text, re.MULTILINE)) for mark in marks]
    if counts != [1, 1]:
        return f"has {counts[0]} `ANCHOR: {anchor}` and {counts[1]} `ANCHOR_END: {anchor}`, not one of each"
    return None


def listings():
    count, problems = 0, []
    for chapter in sorted(CHAPTERS.rglob("*.md")):
        text = chapter.read_text(encoding="utf-8")
        if "}}```" in text:
            problems.append(f"{chapter.name}: begin a new line after an include, or mdBook swallows the fence")
        for target in INCLUDE.findall(text):
            count += 1
            name, _, anchor = target.partition(":")
            file = chapter.parent / name
            if not file.is_file():
                problems.append(f"{chapter.name}: {name} does not exist")
            elif anchor and (problem := anchor_problem(file.read_text(encoding="utf-8"), anchor)):
                problems.append(f"{chapter.name}: {name} {problem}")
    return f"{count} listings", problems


def functions(files):
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return set(re.findall(r"\bfn (\w+)", text))


def laws():
    """In contracts laws stand in brackets, in the book in the last column of a table, where a test of
    a backend or of an example may stand, too."""
    known = functions((TOP / "conformance-tests/src").rglob("*.rs"))
    others = [*(TOP / "backends").glob("*/tests/**/*.rs"), *(TOP / "examples").glob("*/[st]*/**/*.rs")]
    known_others = functions(others)
    named = []
    for folder in ("core", "backends", "transports"):
        for file in (TOP / folder).rglob("*.rs"):
            for bracket in re.findall(r"\\\[(.*?)\\\]", file.read_text(encoding="utf-8"), re.DOTALL):
                named += [(file, law) for law in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", bracket)]
    for chapter in CHAPTERS.rglob("*.md"):
        rows = re.findall(r"\| `([a-z]+(?:_[a-z]+){2,})` \|$", chapter.read_text(encoding="utf-8"), re.MULTILINE)
        named += [(chapter, law) for law in rows if law not in known_others]
    problems = [f"{file.relative_to(TOP)}: no law is called {law}" for file, law in named if law not in known]
    return f"{len(named)} mentions of laws", problems


class Page(HTMLParser):
    """The ids of a page, and what it links to."""

    def __init__(self, file):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.ids.add(value)
            elif name in ("href", "src") and value is not None:
                self.links.append(value)


def link_problem(pages, file, link):
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if not target.exists():
        return "leads to no file"
    fragment = unquote(parts.fragment)
    if fragment and target in pages and fragment not in pages[target].ids:
        return "leads to no heading"
    return None


def links(folder):
    # The last two repeat the chapters for printers and for readers without JavaScript.
    files = [file.resolve() for file in Path(folder).rglob("*.html") if file.name not in ("print.html", "toc.html", "404.html")]
    pages = {file: Page(file) for file in files}
    found = [(file, link) for file in files for link in pages[file].links]
    problems = [
        f"{file.name}: {link} {problem}"
        for file, link in found
        if (problem := link_problem(pages, file, link))
    ]
    if not files:
        problems.append(f"{folder} has no pages")
    return f"{len(found)} links on {len(files)} pages", problems


def main(arguments):
    match arguments:
        case ["listings"]:
            what, problems = listings()
        case ["laws"]:
            what, problems = laws()
        case ["links", folder]:
            what, problems = links(folder)
        case _:
            sys.exit(__doc__.strip())
    if problems:
        sys.exit("\n".join(sorted(set(problems))))
    print(f"{what}: fine")


if __name__ == "__main__":
    main(sys.argv[1:])
