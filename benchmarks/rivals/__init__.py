"""Other training-free methods, written from their papers, beside ours at equal multiply-adds."""
