"""Completing a search line in a real browser: by keys, by mouse, and not against one's will."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.test_pages import found_by_axe
from tests.factories.training import TrainingRunFactory
from training.sync.names import remember

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def test_names_complete_as_one_types(
    transactional_db: None, people: SimpleNamespace, open_page: Open, complaints: list[str]
) -> None:
    TrainingRunFactory(run_name="churn 1")
    remember([("metric", "auc"), ("metric", "val auc"), ("param", "lr")])
    page = open_page(people.viewer, viewport={"width": 360, "height": 740})
    page.goto("/training/")
    line = page.get_by_role("combobox", name="Search")
    line.press_sequentially("metric.a")
    options = page.get_by_role("option", name="metric.")
    expect(options).to_have_count(2)
    expect(line).to_have_attribute("aria-expanded", "true")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert found_by_axe(page) == []
    line.press("ArrowDown")
    line.press("ArrowDown")
    line.press("Enter")
    expect(line).to_have_value("metric.`val auc`")
    expect(options).to_have_count(0)
    line.press_sequentially(">0 par")
    page.get_by_role("option", name="param.").click()
    expect(line).to_have_value("metric.`val auc`>0 param.")
    line.fill("na")
    expect(page.get_by_role("option", name="name")).to_be_visible()
    line.press("Escape")
    expect(page.get_by_role("option", name="name")).to_have_count(0)
    line.fill("churn")
    line.press("Enter")
    page.wait_for_url("**/training/?q=churn*")
    expect(line).to_have_value("churn")
    assert complaints == []
