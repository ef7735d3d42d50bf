"""What is kept of the frames that are lit."""

import numpy as np

from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.fit.completeness import IlluminatedBits, pack, read_illuminated


def test_bits_are_kept_while_there_is_room_and_read_again_otherwise(planted, monkeypatch):
    scan = planted("demo", handedness=-1)
    model = build_model(scan.store, scan.experiment, -1)
    first, second = (int(k) for k in model.projections[:2])
    monkeypatch.setattr("recon3d.reconstruction.fit.completeness.MOST_BYTES", 1)
    bits = IlluminatedBits(model)
    found = [read_illuminated(model, k, 1, bits) for k in (first, second)]
    reads = []
    read = type(scan.store).read_illuminated
    monkeypatch.setattr(
        type(scan.store), "read_illuminated", lambda store, k: reads.append(k) or read(store, k)
    )
    for illuminated in found:
        numbers, packed = bits.of(illuminated.projection)
        assert np.array_equal(numbers, illuminated.numbers)
        assert np.array_equal(packed, pack(model.frames(illuminated.projection)[numbers]))
    # The first took the room that there was.
    assert reads == [second]


def test_cells_hold_the_means_of_their_pixels(planted):
    scan = planted("demo", handedness=-1)
    model = build_model(scan.store, scan.experiment, -1)
    number = int(model.projections[3])
    whole, cells = (read_illuminated(model, number, across, None) for across in (1, 2))
    assert np.array_equal(whole.numbers, cells.numbers)
    assert np.allclose(whole.images.sum(axis=0), 4 * cells.images.sum(axis=0), rtol=1e-4)
    assert whole.cells.count > cells.cells.count > whole.cells.count / 4
