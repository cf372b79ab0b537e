"""The product's settings with the slow jobs; the environment gives database and broker."""

from e2i_site.settings import *  # noqa: F403
from e2i_site.settings import INSTALLED_APPS

INSTALLED_APPS.append("tests.run.slowly")
