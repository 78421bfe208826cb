"""Weights rounded to int8 so that what comes out changes least; for every host that has them."""
