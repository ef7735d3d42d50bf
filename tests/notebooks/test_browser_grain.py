"""The reconstruction and its grain in a real browser."""

from browser_pages import CANVAS, colours, screenshot, settled


def test_the_reconstruction_and_the_grain_are_served_too(page, served):
    page.goto(f"{served}/04_reconstruct.ipynb")
    page.get_by_text("written to").wait_for()
    assert settled(page)
    assert page.get_by_role("button", name="Start engines").is_enabled()
    screenshot(page, "04_reconstruct")
    page.goto(f"{served}/05_view_grain.ipynb")
    assert colours(page, ".k3d-target canvas") > 0.01
    map_of_tilts = page.locator(CANVAS).last
    map_of_tilts.wait_for()
    before = settled(page, 1)
    map_of_tilts.scroll_into_view_if_needed()
    box = map_of_tilts.bounding_box()
    shown = page.get_by_text("projections)")
    # The middle of the slice, which is grain; a click that comes before the kernel listens is lost.
    for _ in range(3):
        page.mouse.click(box["x"] + 0.21 * box["width"], box["y"] + 0.5 * box["height"])
        page.wait_for_timeout(5000)
        if shown.count():
            break
    shown.wait_for()
    assert settled(page, 1, unlike=before)
    screenshot(page, "05_view_grain")
