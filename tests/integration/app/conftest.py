"""What several tests of the app begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app_stores import Stores, open_stores


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """A member's stores, closed at the end."""
    with open_stores(tmp_path) as stores:
        yield stores
