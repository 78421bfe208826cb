"""The command line ``nc-sigopt``; other packages add commands through entry points."""
