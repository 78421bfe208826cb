"""What the user says, checked without going anywhere: no network, no framework, no engine."""
