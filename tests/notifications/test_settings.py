"""What the environment may say about mail and networks, and what stops the start."""

from __future__ import annotations

import ipaddress

import pytest

from e2i_site.core import env
from e2i_site.core.errors import ConfigurationError


def test_networks_are_read_strictly(monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.networks("E2I_TEST_NETWORKS") == []
    monkeypatch.setenv("E2I_TEST_NETWORKS", "10.1.0.0/16, 192.0.2.7,fd00::/8")
    wanted = [ipaddress.ip_network(text) for text in ("10.1.0.0/16", "192.0.2.7/32", "fd00::/8")]
    assert env.networks("E2I_TEST_NETWORKS") == wanted
    for wrong in ("10.1.0.1/16", "intranet", "10.0.0.0/33"):
        monkeypatch.setenv("E2I_TEST_NETWORKS", wrong)
        with pytest.raises(ConfigurationError, match="E2I_TEST_NETWORKS"):
            env.networks("E2I_TEST_NETWORKS")


def test_a_mail_url_gives_djangos_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.mail("E2I_TEST_MAIL") == {}
    monkeypatch.setenv("E2I_TEST_MAIL", "smtp+tls://me:pass@mail.example.org:587")
    found = env.mail("E2I_TEST_MAIL")
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"]) == ("mail.example.org", 587)
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == ("me", "pass")
    assert found["EMAIL_USE_TLS"] is True
    monkeypatch.setenv("E2I_TEST_MAIL", "http://me:hidden@mail.example.org")
    with pytest.raises(ConfigurationError) as caught:
        env.mail("E2I_TEST_MAIL")
    assert "hidden" not in str(caught.value)
