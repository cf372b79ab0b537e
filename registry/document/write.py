"""Writing a policy out as a document, for versions that were published without one."""

from __future__ import annotations

from typing import Any

import yaml

from registry.models import PromotionPolicy

_RARE_BREAKS = frozenset("\x85\u2028\u2029")


def source_of(policy: PromotionPolicy) -> str:
    """The document as it was written; where there was none, the stored rules as YAML."""
    return policy.source or written(document_of(policy))


def document_of(policy: PromotionPolicy) -> dict[str, Any]:
    """What it says, under the keys of a document; empty words are left out."""
    words = {
        "description": policy.description,
        "notice": policy.notice,
        "models": policy.model_patterns,
    }
    said = {key: value for key, value in words.items() if value}
    return {"name": policy.name, **said, "stages": policy.stages}


def written(document: dict[str, Any]) -> str:
    """A document as YAML, keys in their order."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=96)


class _Dumper(yaml.SafeDumper):
    """Writes everything out: no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Rare line breaks are escaped: written as they are, they would be read as spaces."""
    style = '"' if _RARE_BREAKS.intersection(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
