"""How services sign in."""

from __future__ import annotations

from typing import Any

from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed


class ServiceToken(TokenAuthentication):  # type: ignore[misc, unused-ignore]
    """`Authorization: Token …`; bytes that can be no token are refused like any wrong one."""

    def authenticate_credentials(self, token: bytes) -> Any:
        if not token.isascii():
            raise AuthenticationFailed("Invalid token.")
        return super().authenticate_credentials(token)
