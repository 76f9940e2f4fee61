"""Files of strangers, damaged at random: reading them ends in a result or in a LegoError, soon and in little memory."""
