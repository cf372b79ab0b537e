"""The content security policy is strict on our pages and wider only where others' pages are."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.django_db


def directives(response: Any) -> dict[str, list[str]]:
    parts = response["Content-Security-Policy"].split(";")
    return {words[0]: words[1:] for words in (part.split() for part in parts)}


@pytest.mark.parametrize("path", ["/", "/trail/", "/accounts/profile/", "/nothing-here/"])
def test_our_pages_allow_nothing_inline(path: str, client: Any, people: Any) -> None:
    client.force_login(people.viewer)
    response = client.get(path)
    policy = directives(response)
    assert policy["script-src"] == policy["style-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["object-src"] == ["'none'"]
    html = response.content.decode()
    assert " style=" not in html
    assert " onclick=" not in html


@pytest.mark.parametrize("path", ["/admin/login/", "/api/docs/"])
def test_pages_that_are_not_ours_may_more_but_load_from_here(
    path: str, client: Any, people: Any
) -> None:
    if path == "/api/docs/":
        client.force_login(people.viewer)
    policy = directives(client.get(path))
    assert "'unsafe-inline'" in policy["style-src"]
    assert "'self'" in policy["script-src"]
    assert policy["default-src"] == ["'self'"]
    assert not any("http" in source for sources in policy.values() for source in sources)
