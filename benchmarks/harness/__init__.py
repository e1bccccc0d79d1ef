"""What the commands share: sizes, worlds (checkpoint and data), alternating runs, machine facts, tables and JSON."""
