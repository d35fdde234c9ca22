"""Static solutions over a range of one parameter: branches, folds, stability, how many."""
