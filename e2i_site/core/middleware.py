"""Where the content security policy must be wider, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

# The admin's own front end evaluates expressions and sets styles; Swagger UI sets styles.
_WIDER: dict[str, dict[str, list[str]]] = {
    "/admin/": {
        "script-src": ["'unsafe-eval'", "'unsafe-inline'"],
        "style-src": ["'unsafe-inline'"],
    },
    "/api/docs/": {"style-src": ["'unsafe-inline'"]},
}


class WiderPolicy:
    """Adds to the policy under the two prefixes whose pages are not ours."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        for prefix, directives in _WIDER.items():
            if request.path_info.startswith(prefix):
                response._csp_update = directives  # type: ignore[attr-defined]
        return response
