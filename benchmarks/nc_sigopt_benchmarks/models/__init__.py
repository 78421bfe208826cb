"""The models that are tuned: found, downloaded, trained or converted."""
