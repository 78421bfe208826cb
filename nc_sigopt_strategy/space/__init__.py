"""Ops to categorical parameters, and assignments back."""
