"""Hosts: who owns a model and turns choices into models."""
