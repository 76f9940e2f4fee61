"""What parts reach, beside what they have to be compared with."""
