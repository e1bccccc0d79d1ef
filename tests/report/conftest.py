"""What tests of pages share."""

import pytest
from browser import browser


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab
