"""How a part does beside what it was made of: intervals and areas, and the verdict that comes with every result."""
