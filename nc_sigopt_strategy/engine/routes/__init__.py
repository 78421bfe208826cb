"""SigOpt's REST routes, each a function from a request's data to the JSON that answers it."""
