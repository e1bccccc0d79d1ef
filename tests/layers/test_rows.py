"""Rows: positions of branches equal those of separate sequences."""

import numpy as np
from layers.rows import SEVERAL


def test_positions_count_real_tokens_on_the_path():
    row, holed, shared = np.asarray(SEVERAL.rows.positions())
    assert list(row[:3]) == [0, 1, 2] and list(row[4:6]) == [3, 4] and row[7] == 3
    assert [holed[1], holed[3]] == [0, 1] and list(holed[4:7]) == [2, 3, 4] and list(holed[7:9]) == [2, 3]
    assert list(shared[:8]) == [0, 0, 1, 2, 1, 2, 3, 1]
    assert np.asarray(SEVERAL.rows.positions()).min() == 0
