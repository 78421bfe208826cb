"""What workers beside each other cost: the server's time, the time lost, the worse search."""
