"""Words that several reports share: what the tests are, and what a stand-in's figures are worth."""

TEST = "p: paired test on the same rows and silos, clustered by repeat and by row."
PERMUTATION = "the paper's permutation test, which takes all answers for independent."
STAND_IN = "A fake model answered: it knows no language, so its figures say nothing, and nothing is compared."
