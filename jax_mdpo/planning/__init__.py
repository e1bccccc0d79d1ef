"""What a run will cost, before it runs: the arithmetic of the method, the work in a traced or compiled program, the chips that do it."""
