"""People named in what somebody wrote: "@amina, is the slice too small?"."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils.html import escape
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe

from e2i_site.core.roles import Role

MOST = 20
OFFERED = 8
_AT = re.compile(r"(?<![\w@.+-])@([\w.+@-]{1,150})")
_TRAILING = ".+-@"


def mentioned(text: str) -> list[User]:
    """Active people whose user names follow an @ in `text`, at most 20; 1 query, or none."""
    names = {name for found in _AT.findall(text) for name in (found, found.rstrip(_TRAILING))}
    if not names:
        return []
    people = User.objects.filter(username__in=names, is_active=True)
    return list(people.order_by("username")[:MOST])


def named_like(part: str) -> list[User]:
    """Active people with a role whose user name, or a name of theirs, begins with `part`."""
    if not part:
        return []
    fits = Q(username__istartswith=part) | Q(first_name__istartswith=part)
    fits |= Q(last_name__istartswith=part)
    people = User.objects.filter(fits, is_active=True, groups__name__in=Role.values)
    return list(people.distinct().order_by("username")[:OFFERED])


def linked(text: str, names: Iterable[str]) -> SafeString:
    """`text` as HTML in which the mentions of `names` lead to what these people did."""
    known = set(names)

    def link(found: re.Match[str]) -> str:
        name = found[1] if found[1] in known else found[1].rstrip(_TRAILING)
        if name not in known:
            return found[0]
        address = f"/trail/?{urlencode({'actor': name})}"
        return f'<a href="{escape(address)}">@{name}</a>{found[1][len(name) :]}'

    # User names hold no character that escaping changes.
    return mark_safe(_AT.sub(link, escape(text)))  # noqa: S308 - escaped before
