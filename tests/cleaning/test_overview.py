"""What is known of a projection at a glance."""

import numpy as np
import pytest

from recon3d.cleaning.overview import ProjectionGlance, binned


def glance(summed, bin_pix):
    one = np.ones(1)
    return ProjectionGlance(
        omega_deg=0.0,
        taken=0.0,
        summed=summed,
        bin_pix=bin_pix,
        integrated=one,
        valid=one > 0,
        mu_deg=one,
        gamma_deg=one,
        current_ma=np.nan,
    )


@pytest.mark.parametrize(
    ("bin_pix", "expected"), [((1, 1), (1.0, 2.0)), ((2, 3), (2.5, 7.0)), ((4, 1), (5.5, 2.0))]
)
def test_a_bin_is_where_the_middle_of_its_pixels_is(bin_pix, expected):
    # Bin 1 of two rows holds the rows 2 and 3, bin 2 of three columns the columns 6, 7 and 8.
    image = np.zeros((3, 4), np.float32)
    image[1, 2] = 5
    assert glance(image, bin_pix).centre_of_mass_pix == pytest.approx(expected)


def test_the_centre_of_mass_weighs_pixels_by_their_counts():
    image = np.zeros((3, 4), np.float32)
    image[0, 0], image[2, 3] = 1, 3
    assert glance(image, (1, 1)).centre_of_mass_pix == pytest.approx((1.5, 2.25))
    assert np.isnan(glance(0 * image, (1, 1)).centre_of_mass_pix).all()


def test_a_large_image_is_binned_to_the_mean_of_its_pixels():
    image = np.arange(15, dtype=np.float32).reshape(3, 5)
    small, size = binned(image, 3)
    assert size == 2
    # The lower row and the right column are filled up with zeros.
    assert small.tolist() == [[3, 5, (4 + 9) / 4], [(10 + 11) / 4, (12 + 13) / 4, 14 / 4]]
