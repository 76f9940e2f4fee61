"""Taking networks apart: plan, cut, repair, and the verbs that do all of it."""
