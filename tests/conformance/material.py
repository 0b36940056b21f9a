"""Where the published material lies: beside the repository, in `../shared/epcis`."""

from pathlib import Path
from typing import Final

import pytest

EPCIS: Final = Path(__file__).parents[3] / "shared" / "epcis"
EXAMPLES: Final = EPCIS / "examples"

needs_material = pytest.mark.skipif(not EPCIS.is_dir(), reason=f"the published EPCIS material is not at {EPCIS}")
