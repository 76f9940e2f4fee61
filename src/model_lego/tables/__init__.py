"""The paper's tables as recipes: what is measured, how it is run, and the page that is written from the results."""
