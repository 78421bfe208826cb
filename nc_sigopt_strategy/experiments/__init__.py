"""One SigOpt experiment: open, suggest, observe; its copy on a server; whose a suggestion is."""
