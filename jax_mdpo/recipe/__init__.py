"""Names in a configuration become objects, in one place; the Python face (load, train, score, export) stands here."""
