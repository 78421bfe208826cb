"""Requests to servers that speak SigOpt's API, and what they answer, held against each other."""
