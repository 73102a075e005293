"""What a page must not show, whatever notebook it was made of."""

import re

FAULTS = {
    "a hint or an answer that stands open": re.compile(r"</summary>\s*</details>"),
    "a subscript without its letters": re.compile(r"<(su[bp])>\s*</\1>"),
    "a progress bar that stands at its beginning": re.compile(r" 0%\|"),
    "a picture that lies elsewhere": re.compile(
        r'<img\b[^>]*?\bsrc="(?!data:)[^"]*(?<!badge_logo\.svg)(?<!badge\.svg)"'
    ),
    "a formula that was not put in": re.compile(r"formula-\d+-goes-here"),
}


def faults(page):
    """Return the faults of a page, each with the place where it begins."""
    found = {what: pattern.search(page) for what, pattern in FAULTS.items()}
    return {what: page[at.start() : at.end() + 80] for what, at in found.items() if at}


def folded(page):
    """Return what stands inside each fold of a page, without the line that is always seen."""
    inside = re.findall(r"<details>(.*?)</details>", page, flags=re.DOTALL)
    return [re.sub(r"<summary>.*?</summary>|<[^>]+>", "", text, flags=re.DOTALL).strip() for text in inside]
