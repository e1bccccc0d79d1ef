"""The mesh, and the one table that maps logical axes of arrays to it."""
