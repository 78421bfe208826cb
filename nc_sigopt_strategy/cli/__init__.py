"""The command line ``nc-sigopt``; packages add commands by entry points of ``nc_sigopt.commands``."""
