"""Reading a page as people and browsers do."""

from __future__ import annotations

import html
import re
from typing import Any


def text_of(response: Any) -> str:
    """The page's markup with entities resolved, in one line."""
    return re.sub(r"\s+", " ", html.unescape(response.content.decode()))


def words_of(response: Any) -> str:
    """What stands on the page, without markup, in one line."""
    text = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r" ([.,:])", r"\1", re.sub(r"\s+", " ", html.unescape(text)))


def hidden(response: Any, name: str) -> str:
    """The value of a hidden field as the browser would send it back."""
    tag = re.search(rf'<input[^>]*name="{name}"[^>]*>', response.content.decode())
    assert tag, f"no field {name}"
    value = re.search(r'value="([^"]*)"', tag[0])
    assert value
    return html.unescape(value[1])
