"""A served page that lacks something says what, with a button, and neither fails nor works."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def served():
    """Before the kernel begins, which takes its environment from here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERVER_SOFTWARE", "voila/0.5.11")
        yield


@pytest.mark.parametrize("name", ["00_learn_dfxm", "06_analyse_grain"])
def test_the_page_ends_at_what_is_missing(copied, client_of, name):
    from nbclient.exceptions import CellExecutionError

    client = client_of(name)
    # Voila shows the cells up to the one that ends so.
    with pytest.raises(CellExecutionError):
        client.execute()
    outputs = [output for cell in client.nb.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.output_type == "error"] == []
    states = [*client.widget_state.values()]
    told = [state["value"] for state in states if "value" in state]
    buttons = [state["description"] for state in states if state["_model_name"] == "ButtonModel"]
    assert any("there is no scan here yet" in str(text) for text in told)
    assert buttons == ["Simulate it"]
    assert [path for path in copied.iterdir() if path.suffix != ".ipynb"] == []
