"""Whether published networks of many authors are cut right, or refused with a true reason: `make foreign`."""
