"""What attribution, statistics, repair and reading cost, each beside what it cannot avoid."""
