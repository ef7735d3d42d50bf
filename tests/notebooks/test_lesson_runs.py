"""The lesson's notebook, run from top to bottom: it needs none of the others."""


def test_the_lesson_runs_from_top_to_bottom(run_notebook):
    run_notebook("00_learn_dfxm")
