"""What a person at a prompt or in a notebook sees: progress, tables, exports."""
