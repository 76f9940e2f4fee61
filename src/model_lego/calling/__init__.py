"""How the library is called: keyword options, and public names that are imported late."""
